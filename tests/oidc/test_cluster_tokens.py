"""Tokens of a real issuer: the gateway's own, and those for callers'."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from joserfc.jwk import ECKey
from login import HERE, node
from running import Answer, Gateway, until
from service import Service

Json = Any
EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange"
CONFIG = """
listeners: {{public: {{bind: "127.0.0.1:0"}}}}
issuers: {{corp: {{issuer: "{issuer}", algorithms: [ES256], discovery: openid}}}}
clusters:
  own:
    endpoints: ["{service}"]
    credentials:
      client_credentials:
        issuer: corp
        client_id: gateway
        client_secret: a secret & more
        scopes: [read, write]
        resource: ["https://inventory.example"]
  keyed:
    endpoints: ["{service}"]
    credentials:
      client_credentials:
        issuer: corp
        client_id: gateway-with-a-key
        private_key: "${{file:client.pem}}"
        key_id: ours
        assertion_audience: "{issuer}"
        scopes: [read]
        resource: ["https://inventory.example"]
  callers:
    endpoints: ["{service}"]
    credentials:
      token_exchange:
        issuer: corp
        client_id: gateway
        client_secret: a secret & more
        client_authentication: client_secret_post
        scopes: [read]
        resource: ["{resource}"]
routes:
  own: {{match: {{path: /own}}, target: {{cluster: own}}}}
  keyed: {{match: {{path: /keyed}}, target: {{cluster: keyed}}}}
  callers:
    match: {{path: /callers}}
    policies: {{authenticate: {{any: [{{jwt: {{issuers: [corp], audience: ["https://shop.example"]}}}}]}}}}
    target: {{cluster: callers}}
"""


class Issuer:
    """``issuer.mjs`` as a process. ``log`` has a line for each grant, given or refused."""

    def __init__(self, key: ECKey) -> None:
        found = node()
        if found is None or not (HERE / "node_modules" / "oidc-provider").exists():
            assert not os.environ.get("CI"), "node 20 or oidc-provider is missing"
            pytest.skip("node 20 or oidc-provider is not installed: make test-tools")
        self.process = subprocess.Popen(
            [found, "issuer.mjs"], cwd=HERE, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{json.dumps(key.as_dict(private=False))}\n")
        self.process.stdin.flush()
        self.url = self.process.stdout.readline().strip()
        self.log: list[str] = []
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.log.append(line.strip())

    def token_of_ann(self, resource: str = "https://shop.example") -> str:
        form = {"grant_type": "client_credentials", "resource": resource, "scope": "read"}
        answer = httpx.post(f"{self.url}/token", data=form, auth=("ann", "of%20ann"), trust_env=False, timeout=60)
        return str(answer.raise_for_status().json()["access_token"])

    def end(self) -> None:
        self.process.kill()
        self.process.wait(30)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                pipe.close()


@pytest.fixture
def issuer(tmp_path: Path) -> Iterator[Issuer]:
    key = ECKey.generate_key("P-256")
    (tmp_path / "client.pem").write_bytes(key.as_pem(private=True))
    issuer = Issuer(key)
    yield issuer
    issuer.end()


def claims(service: Service) -> Json:
    """Of the token with which the service was last called."""
    token = service.requests[-1].headers["authorization"].removeprefix("Bearer ")
    return json.loads(base64.urlsafe_b64decode(token.split(".")[1] + "=="))


def test_a_real_issuer_gives_the_gateway_its_tokens(
    gateway: Callable[..., Gateway], service: Service, issuer: Issuer
) -> None:
    settings = {"issuer": issuer.url, "service": service.url}
    running = gateway(CONFIG.format(resource="https://inventory.example", **settings))

    def ask(path: str, token: str | None = None) -> Answer:
        fields = {} if token is None else {"authorization": f"Bearer {token}"}
        return running.request("GET", path, headers=fields)

    until(lambda: ask("/own").status == 200)
    assert (claims(service)["sub"], claims(service)["aud"]) == ("gateway", "https://inventory.example")
    assert claims(service)["scope"] == "read write"
    assert ask("/keyed").status == 200, issuer.log
    assert claims(service)["sub"] == "gateway-with-a-key"

    ann = issuer.token_of_ann()
    for _ in range(3):
        assert ask("/callers", ann).status == 200, issuer.log
    assert (claims(service)["for"], claims(service)["client_id"]) == ("ann", "gateway")
    assert issuer.log.count(f"{EXCHANGE} gateway") == 1
    assert issuer.log.count("client_credentials gateway") == 1
    # For this service alone: the same token is refused where it is not for us.
    assert ask("/callers", issuer.token_of_ann("https://elsewhere.example")).status == 401


def test_a_real_issuer_says_no_and_is_gone(gateway: Callable[..., Gateway], service: Service, issuer: Issuer) -> None:
    settings = {"issuer": issuer.url, "service": service.url}
    running = gateway(CONFIG.format(resource="https://other.example", **settings))
    fields = {"authorization": f"Bearer {issuer.token_of_ann()}"}
    until(lambda: running.request("GET", "/callers", headers=fields).status != 503)
    assert running.request("GET", "/callers", headers=fields).status == 403, issuer.log
    assert service.requests == []
    issuer.end()
    assert running.request("GET", "/own").status == 503
