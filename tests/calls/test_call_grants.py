"""Tokens of calls by what few authorities are asked for: codes, requests in JSON, and an authority that is known by a
name of the world and reached over TLS through a cluster."""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import pytest
from authority import Authority
from calls.test_call_authentication import PASSWORD, document, get
from flow import config
from joserfc import jwt
from joserfc.jwk import OctKey
from running import Gateway
from service import Service

Json = Any
Start = Callable[..., Gateway]
ISSUER = "https://login.example/shop"
CODE, JSON = "a-code-for-once", "application/json"


class Login(Service):
    """An authority: metadata, and tokens for codes that are good once, refresh tokens, and clients. What is below
    ``/guarded`` takes the last token alone."""

    def __init__(self, tls: ssl.SSLContext | None = None, issuer: str = ISSUER) -> None:
        super().__init__(tls)
        self.issuer, self.codes, self.valid, self.issued = issuer, {CODE}, "", 0
        self.asked: list[dict[str, Json]] = []
        """What token requests said."""

    def decide(self, path: str, number: int) -> tuple[int, str, bytes]:
        seen = self.requests[-1]
        if path == "/shop/.well-known/openid-configuration":
            metadata = {"issuer": self.issuer, "token_endpoint": f"{ISSUER}/tokens"}
            return 200, JSON, json.dumps(metadata).encode()
        if path.endswith("/tokens"):
            form = seen.json if seen.headers["content-type"] == JSON else dict(parse_qsl(seen.body.decode()))
            self.asked.append(form)
            if form["grant_type"] == "authorization_code":
                if form["code"] not in self.codes:
                    return 400, JSON, b'{"error": "invalid_grant"}'
                self.codes.remove(form["code"])
            self.issued += 1
            self.valid = f"token-{self.issued}"
            answer = {"access_token": self.valid, "token_type": "bearer", "refresh_token": f"refresh-{self.issued}"}
            return 200, JSON, json.dumps(answer).encode()
        if path.startswith("/guarded") and seen.headers.get("authorization") != f"Bearer {self.valid}":
            return 401, JSON, b"{}"
        return super().decide(path, number)


def start(gateway: Start, login: Login, folder: Path, proof: Json, extra: str, cluster: str = "{}") -> Gateway:
    document(
        folder,
        [{"one": get("cluster://service/guarded", {"use": "shop"})}],
        secrets=["word", "code"],
        authentications={"shop": proof},
    )
    secrets = f"secrets: {{word: {PASSWORD}, code: {CODE}}}"
    text = config(login.port, extra=f"engine: {{{secrets}, {extra}}}")
    at = f'service: {{endpoints: ["http://127.0.0.1:{login.port}"]}}'
    led = f'service: {{endpoints: ["{login.url}"], tls: {cluster}}}'
    assert at in text
    return gateway(text.replace(at, led if login.url.startswith("https") else at))


def client(**more: Json) -> Json:
    return {"id": "shop", "secret": "${ $secrets.word }", **more}


def test_a_code_is_used_once_and_what_it_gave_is_refreshed(gateway: Start, tmp_path: Path) -> None:
    with Login() as login:
        proof = {
            "authority": login.url,
            "endpoints": {"token": "/tokens"},
            "grant": "authorization_code",
            "subject": {"token": "${ $secrets.code }", "type": "urn:ietf:params:oauth:token-type:access_token"},
            "client": client(),
        }
        running = start(gateway, login, tmp_path, {"oauth2": proof}, f'allow_hosts: ["{login.url}"]')
        assert running.request("POST", "/flow", {}).status == 200, running.log
        assert running.request("POST", "/flow", {}).status == 200
        login.valid = "ended"
        assert running.request("POST", "/flow", {}).status == 200
        of_client = {"client_id": "shop", "client_secret": PASSWORD}
        assert login.asked == [
            {"grant_type": "authorization_code", "code": CODE, **of_client},
            {"grant_type": "refresh_token", "refresh_token": "refresh-1", **of_client},
        ]


def test_a_code_that_was_used_before_is_an_error_of_authentication_and_not_shown(
    gateway: Start, tmp_path: Path
) -> None:
    with Login() as login:
        login.codes.clear()
        proof = {
            "authority": login.url,
            "endpoints": {"token": f"{login.url}/tokens"},
            "grant": "authorization_code",
            "subject": {"token": "${ $secrets.code }", "type": "code"},
        }
        running = start(gateway, login, tmp_path, {"oauth2": proof}, f'allow_hosts: ["{login.url}"]')
        answer = running.request("POST", "/flow", {})
        assert answer.status == 401
        assert answer.json["type"].endswith("/errors/authentication")
        assert "answered 400: invalid_grant" in answer.json["detail"]
        assert CODE not in running.log + answer.body.decode()


@pytest.mark.parametrize(("audiences", "sent"), [(["a"], "a"), (["a", "b"], ["a", "b"])])
def test_a_request_for_a_token_may_be_json(gateway: Start, tmp_path: Path, audiences: list[str], sent: Json) -> None:
    with Login() as login:
        proof = {
            "authority": login.url,
            "endpoints": {"token": "/tokens"},
            "grant": "client_credentials",
            "request": {"encoding": JSON},
            "client": client(authentication="client_secret_post"),
            "scopes": ["read", "write"],
            "audiences": audiences,
        }
        running = start(gateway, login, tmp_path, {"oauth2": proof}, f'allow_hosts: ["{login.url}"]')
        assert running.request("POST", "/flow", {}).status == 200, running.log
        [asked] = login.asked
        assert asked == {
            "grant_type": "client_credentials",
            "scope": "read write",
            "audience": sent,
            "client_id": "shop",
            "client_secret": PASSWORD,
        }


@pytest.mark.parametrize(("issuer", "status"), [(ISSUER, 200), ("https://login.example/other", 401)])
def test_an_authority_is_known_by_its_own_name_wherever_it_is_led(
    gateway: Start, tmp_path: Path, issuer: str, status: int
) -> None:
    authority = Authority(tmp_path)
    with Login(authority.server("login.example"), issuer) as login:
        proof = {
            "authority": ISSUER,
            "grant": "client_credentials",
            "client": client(authentication="client_secret_jwt"),
        }
        servers = 'servers: {"https://login.example": "cluster://service"}'
        cluster = f"{{ca: {authority.file}, server_name: login.example}}"
        running = start(gateway, login, tmp_path, {"oidc": proof}, servers, cluster)
        answer = running.request("POST", "/flow", {})
        assert answer.status == status, (answer, running.log)
        if status != 200:
            assert "is the metadata of another issuer" in answer.json["detail"]
            assert login.asked == []
            return
        [asked] = login.asked
        assert asked["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
        assert "client_secret" not in asked
        token = jwt.decode(asked["client_assertion"], OctKey.import_key(PASSWORD), algorithms=["HS256"])
        claims = token.claims
        assert (claims["iss"], claims["sub"], claims["aud"]) == ("shop", "shop", ISSUER)
        assert 0 < claims["exp"] - claims["iat"] <= 60
