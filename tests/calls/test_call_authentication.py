"""Calls that prove themselves: over real sockets, against services that look, and nothing of it lies where it could be
read."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import pytest
from flow import config
from running import Gateway, until
from service import Service

Json = Any
Start = Callable[..., Gateway]
PASSWORD = "s3cret-of-the-shop"


def document(folder: Path, do: list[Json], **use: Json) -> None:
    head = {"dsl": "1.0.3", "namespace": "test", "name": "flow", "version": "1.0.0"}
    (folder / "flow.workflow.yaml").write_text(json.dumps({"document": head, "use": use, "do": do}))


def get(uri: str, authentication: Json = None, **more: Json) -> Json:
    endpoint = {"uri": uri} if authentication is None else {"uri": uri, "authentication": authentication}
    return {"call": "http", "with": {"method": "get", "endpoint": endpoint, **more}}


class Guarded(Service):
    """``/token`` gives tokens; what is below ``/guarded`` takes the last one alone."""

    def __init__(self) -> None:
        super().__init__()
        self.issued = 0
        self.valid = ""
        self.lifetime: Json = 600
        self.refresh = False
        self.down = False
        self.odd: list[Json] = []
        """What it gives for a token."""

    def decide(self, path: str, number: int) -> tuple[int, str, bytes]:
        seen = self.requests[-1]
        if path.startswith("/token"):
            if self.down:
                return 400, "application/json", b'{"error": "invalid_client"}'
            self.issued += 1
            self.valid = f"token-{self.issued}"
            body = {
                "access_token": self.odd[0] if self.odd else self.valid,
                "token_type": "Bearer",
                "expires_in": self.lifetime,
            }
            if self.refresh:
                body["refresh_token"] = f"refresh-{self.issued}"
            return 200, "application/json", json.dumps(body).encode()
        if path.startswith("/guarded") and seen.headers.get("authorization") != f"Bearer {self.valid}":
            return 401, "application/json", b"{}"
        return super().decide(path, number)

    @property
    def forms(self) -> list[dict[str, list[str]]]:
        return [parse_qs(seen.body.decode()) for seen in self.to("/token")]


@pytest.fixture
def guarded() -> Iterator[Guarded]:
    with Guarded() as running:
        yield running


def test_a_name_and_a_password_of_secrets_go_with_the_call_and_nowhere_else(
    gateway: Start, service: Service, tmp_path: Path
) -> None:
    basic = {"basic": {"username": "${ .user }", "password": "${ $secrets.word }"}}
    do = [
        {"one": get("cluster://service/one", basic)},
        {"two": get("cluster://service/two", {"bearer": {"use": "whole"}})},
        {"three": get("cluster://service/three", None, headers={"X-Key": "${ $secrets.word }"}, output="response")},
    ]
    document(tmp_path, do, secrets=["word", "whole"])
    secrets = 'engine: {secrets: {word: "${env:WORD}", whole: "${file:whole.json}"}}'
    (tmp_path / "whole.json").write_text(json.dumps({"token": PASSWORD}))
    running = gateway(config(service.port, extra=secrets), environment={"WORD": PASSWORD})
    answer = running.request("POST", "/flow", {"user": "ann"})
    assert answer.status == 200, answer
    assert answer.json["request"]["headers"] == {"X-Key": "***"}
    one, two, three = service.requests
    assert one.headers["authorization"] == "Basic " + base64.b64encode(f"ann:{PASSWORD}".encode()).decode()
    assert two.headers["authorization"] == f"Bearer {PASSWORD}"
    assert three.headers["x-key"] == PASSWORD
    assert running.end() == 0
    for file in tmp_path.iterdir():
        if file.is_file() and file.name != "whole.json":
            assert PASSWORD.encode() not in file.read_bytes(), file


def test_a_secret_that_is_not_there_is_found_before_anything_is_served(
    gateway: Start, service: Service, tmp_path: Path
) -> None:
    document(tmp_path, [{"one": get("cluster://service/", {"bearer": {"use": "word"}})}], secrets=["word", "wrod"])
    running = gateway(config(service.port, extra="engine: {secrets: {word: some-token}}"))
    assert running.addresses == {}
    assert "there is no secret 'wrod'" in running.log
    assert "the secret 'word' is none for bearer: it is not an object" in running.log
    assert "some-token" not in running.log


def oauth(guarded: Guarded, **more: Json) -> Json:
    client = {"id": "shop", "secret": "${ $secrets.word }"}
    common = {"authority": guarded.url, "endpoints": {"token": "/token"}, "grant": "client_credentials"}
    return {"oauth2": {**common, "client": client, **more}}


def start(gateway: Start, guarded: Guarded, tmp_path: Path, authentication: Json, times: int = 3) -> Gateway:
    do = [{f"call{number}": get("cluster://service/guarded", {"use": "shop"})} for number in range(times)]
    document(tmp_path, do, secrets=["word"], authentications={"shop": authentication})
    hosts = f'engine: {{allow_hosts: ["{guarded.url}"], secrets: {{word: {PASSWORD}}}}}'
    return gateway(config(guarded.port, extra=hosts))


def test_a_token_is_got_once_for_many_calls_and_anew_when_it_is_refused(
    gateway: Start, guarded: Guarded, tmp_path: Path
) -> None:
    running = start(gateway, guarded, tmp_path, oauth(guarded, scopes=["read", "write"], audiences=["a", "b"]))
    assert running.request("POST", "/flow", {}).status == 200
    assert guarded.forms == [
        {
            "grant_type": ["client_credentials"],
            "scope": ["read write"],
            "audience": ["a", "b"],
            "client_id": ["shop"],
            "client_secret": [PASSWORD],
        }
    ]
    guarded.valid = "another"
    assert running.request("POST", "/flow", {}).status == 200
    assert guarded.issued == 2
    keys = [seen.key for seen in guarded.to("/guarded")]
    assert keys[3] == keys[4], "the request that was refused with 401 is repeated with its key"


def test_the_authorization_goes_where_a_request_wants_it_and_nowhere_else(
    gateway: Start, guarded: Guarded, tmp_path: Path
) -> None:
    copies = {
        "headers": {"X-Copy": "${ $authorization.parameter }"},
        "query": {"scheme": "${ $authorization.scheme }"},
        "body": {"n": "${ $workflow.input.n }", "deep": ["${ $authorization.parameter + $secrets.word }"]},
        "method": "post",
    }
    told = {"output": {"as": "${ $authorization }"}}
    do = [
        {"first": get("cluster://service/guarded", {"use": "shop"}) | told},
        {"second": get("cluster://service/guarded", {"use": "shop"}, **copies) | told},
        {"plain": get("cluster://service/plain", None, headers={"X-None": "${ $authorization | tojson }"})},
        {"last": {"input": {"from": "$context"}, "set": "${ .told }"}},
    ]
    do[1]["second"]["export"] = {"as": "${ {told: .} }"}
    document(tmp_path, do, secrets=["word"], authentications={"shop": oauth(guarded)})
    hosts = f'engine: {{allow_hosts: ["{guarded.url}"], secrets: {{word: "${{env:WORD}}"}}}}'
    running = gateway(config(guarded.port, extra=hosts), environment={"WORD": PASSWORD})
    assert running.request("POST", "/flow", {"n": 7}).json == {"scheme": "Bearer", "parameter": "***"}
    guarded.valid = "another"
    location = running.request("POST", "/flow", {"n": 7}, {"prefer": "respond-async"}).headers["location"]
    until(lambda: running.request("GET", location).json["status"] == "completed")
    posts = [seen for seen in guarded.to("/guarded") if seen.method == "POST"]
    for seen, token in zip(posts, ("token-1", "token-2"), strict=True):
        assert seen.headers["x-copy"] == token
        assert seen.path.endswith("?scheme=Bearer")
        assert seen.json["deep"] == [token + PASSWORD]
    assert guarded.to("/plain")[0].headers["x-none"] == "null"
    assert running.end() == 0
    for file in tmp_path.iterdir():
        if file.is_file():
            assert b"token-1" not in file.read_bytes(), file
            assert b"token-2" not in file.read_bytes(), file


def test_a_token_in_a_request_is_anew_when_it_was_refused(gateway: Start, guarded: Guarded, tmp_path: Path) -> None:
    copy = {"headers": {"X-Copy": "${ $authorization.parameter }"}}
    do = [{"one": get("cluster://service/guarded", {"use": "shop"}, **copy)}]
    document(tmp_path, do, secrets=["word"], authentications={"shop": oauth(guarded)})
    hosts = f'engine: {{allow_hosts: ["{guarded.url}"], secrets: {{word: {PASSWORD}}}}}'
    running = gateway(config(guarded.port, extra=hosts))
    assert running.request("POST", "/flow", {}).status == 200
    guarded.valid = "another"
    assert running.request("POST", "/flow", {}).status == 200
    assert [seen.headers["x-copy"] for seen in guarded.to("/guarded")] == ["token-1", "token-1", "token-2"]


def test_many_executions_at_once_share_one_request_for_a_token(
    gateway: Start, guarded: Guarded, tmp_path: Path
) -> None:
    running = start(gateway, guarded, tmp_path, oauth(guarded))
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: running.request("POST", "/flow", {}).status, range(20)))
    assert answers == [200] * 20
    assert guarded.issued == 1


def test_a_token_that_ends_is_renewed_by_its_refresh_token(gateway: Start, guarded: Guarded, tmp_path: Path) -> None:
    guarded.lifetime, guarded.refresh = "1", True
    password = oauth(guarded, grant="password", username="ann", password="${ $secrets.word }")
    running = start(gateway, guarded, tmp_path, password, times=1)
    assert running.request("POST", "/flow", {}).status == 200
    guarded.valid = "ended"
    assert running.request("POST", "/flow", {}).status == 200
    first, second = guarded.forms
    assert (first["grant_type"], first["username"], first["password"]) == (["password"], ["ann"], [PASSWORD])
    assert (second["grant_type"], second["refresh_token"]) == (["refresh_token"], ["refresh-1"])


def test_an_authority_that_says_odd_things_of_a_token_is_none_the_worse(
    gateway: Start, guarded: Guarded, tmp_path: Path
) -> None:
    running = start(gateway, guarded, tmp_path, oauth(guarded), times=1)
    for lifetime in ("9" * 5000, 10**400, -1, 0, True, [], {}, None, "soon", float("inf"), float("nan")):
        guarded.lifetime, guarded.valid = lifetime, "ended"
        assert running.request("POST", "/flow", {}).status == 200, lifetime
    assert "cannot go on" not in running.log


@pytest.mark.parametrize("token", ["", "a\nb", "\ud800", "ü", 7, None], ids=range(6))
def test_what_is_no_token_is_an_error_of_its_call(
    token: Json, gateway: Start, guarded: Guarded, tmp_path: Path
) -> None:
    guarded.odd = [token]
    running = start(gateway, guarded, tmp_path, oauth(guarded), times=1)
    answer = running.request("POST", "/flow", {})
    assert answer.status in (401, 502, 503), answer.body
    assert "cannot go on" not in running.log


def test_a_token_may_be_exchanged_for_another(gateway: Start, guarded: Guarded, tmp_path: Path) -> None:
    kind = "urn:ietf:params:oauth:token-type:access_token"
    exchange = oauth(
        guarded,
        grant="urn:ietf:params:oauth:grant-type:token-exchange",
        subject={"token": "${ .token }", "type": kind},
        actor={"token": "${ $secrets.word }", "type": kind},
        client={"id": "shop", "secret": "of the shop", "authentication": "client_secret_basic"},
    )
    running = start(gateway, guarded, tmp_path, exchange, times=1)
    assert running.request("POST", "/flow", {"token": "of-ann"}).status == 200
    assert running.request("POST", "/flow", {"token": "of-bob"}).status == 200, "another subject is another token"
    one, two = guarded.forms
    assert (one["subject_token"], one["actor_token"]) == (["of-ann"], [PASSWORD])
    assert two["subject_token"] == ["of-bob"]
    proof = base64.b64encode(b"shop:of%20the%20shop").decode()
    assert guarded.to("/token")[0].headers["authorization"] == f"Basic {proof}"


def test_without_a_token_nothing_is_called_and_the_error_can_be_caught(
    gateway: Start, guarded: Guarded, tmp_path: Path
) -> None:
    guarded.down = True
    do = [
        {
            "careful": {
                "try": [{"one": get("cluster://service/guarded", {"use": "shop"})}],
                "catch": {"as": "error", "do": [{"said": {"set": "${ $error }"}}]},
            }
        }
    ]
    document(tmp_path, do, secrets=["word"], authentications={"shop": oauth(guarded)})
    hosts = f'engine: {{allow_hosts: ["{guarded.url}"], secrets: {{word: {PASSWORD}}}}}'
    running = gateway(config(guarded.port, extra=hosts))
    error = running.request("POST", "/flow", {}).json
    assert error["type"].endswith("/errors/authentication")
    assert error["status"] == 401
    assert "answered 400: invalid_client" in error["detail"]
    assert guarded.to("/guarded") == []


def test_the_authority_of_tokens_must_be_allowed(gateway: Start, guarded: Guarded, tmp_path: Path) -> None:
    document(tmp_path, [{"one": get("cluster://service/", oauth(guarded))}], secrets=["word"])
    running = gateway(config(guarded.port, extra="engine: {secrets: {word: x}}"))
    assert running.addresses == {}
    assert f"the host '127.0.0.1:{guarded.port}' is not allowed" in running.log


def test_what_no_header_can_hold_fails_the_call_and_nothing_else(
    gateway: Start, service: Service, tmp_path: Path
) -> None:
    proofs = {
        "colon": {"basic": {"username": "${ .colon }", "password": "x"}},
        "line": {"bearer": {"token": "${ .line }"}},
        "number": {"digest": {"username": "${ .number }", "password": "x"}},
    }
    tries = []
    for name, proof in proofs.items():
        careful = {"try": [{name: get("cluster://service/", proof)}]}
        keep = {"set": "${ $error.status }"}
        export = {"as": "${ $context + {" + name + ": .} }"}
        catch = {"as": "error", "do": [{"said": keep}]}
        tries.append(
            {f"try-{name}": {**careful, "catch": catch, "export": export, "input": {"from": "$workflow.input"}}}
        )
    document(tmp_path, [*tries, {"last": {"set": "${ $context }"}}])
    running = gateway(config(service.port))
    answer = running.request("POST", "/flow", {"colon": "a:b", "line": "a\r\nb", "number": 7})
    assert answer.json == {"colon": 401, "line": 401, "number": 401}, running.log
    assert service.requests == []
