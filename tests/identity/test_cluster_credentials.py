"""By what the gateway proves itself to endpoints, for routes and for calls of workflows, and on whose behalf; and that
nothing of it lies where it could be read."""

from __future__ import annotations

import base64
import json
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flow import write
from identity.issuer import Issuer
from identity.token_service import TokenService
from running import Answer, Gateway, until
from service import Service

Json = Any
Start = Callable[..., Gateway]
SECRET = "s3cret-of-the-gateway"
CONFIG = """
listeners: {{door: {{bind: "127.0.0.1:0"}}}}
admin: {{bind: "127.0.0.1:0"}}
workers: 2
issuers:
  corp:
    issuer: "{issuer}"
    algorithms: [EdDSA]
    discovery: openid
    endpoints: {{token: "{tokens}/token"}}
clusters:
  plain: {{endpoints: ["{service}"]}}
  fixed: {{endpoints: ["{service}"], credentials: {{headers: {{authorization: "Bearer ${{env:SECRET}}"}}}}}}
  own:
    endpoints: ["{service}"]
    credentials:
      client_credentials: {{issuer: corp, client_id: gateway, client_secret: "${{env:SECRET}}", scopes: [read]}}
  callers:
    endpoints: ["{service}"]
    credentials:
      token_exchange:
        issuer: corp
        client_id: gateway
        client_secret: "${{env:SECRET}}"
        audience: [orders]
        {more}
policies:
  access_log: {{path: access.log, headers: [authorization]}}
  authenticate: {{any: [api_key, {{jwt: {{issuers: [corp], audience: [shop]}}}}], anonymous: {{}}}}
consumers: {{job: {{api_keys: [key-of-job-0123456789]}}}}
routes:
  callers: {{match: {{path: "/callers/{{rest...}}"}}, target: {{cluster: callers}}}}
  fixed: {{match: {{path: "/fixed"}}, target: {{cluster: fixed}}}}
  own: {{match: {{path: "/own"}}, target: {{cluster: own}}}}
  both:
    match: {{path: /both}}
    target:
      aggregate:
        callers: {{cluster: callers, path: /a/callers}}
        fixed: {{cluster: fixed, path: /a/fixed}}
  flow:
    match: {{path: /flow, methods: [POST]}}
    target: {{workflow: test/flow, input: "${{ .body }}", wait: 20s}}
workflows: ["*.workflow.yaml"]
"""


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with Issuer() as running:
        yield running


@pytest.fixture
def tokens() -> Iterator[TokenService]:
    with TokenService() as running:
        yield running


class Shop:
    """A gateway before a service, with an issuer and its token endpoint."""

    def __init__(self, start: Start, issuer: Issuer, tokens: TokenService, service: Service, folder: Path) -> None:
        self.issuer, self.tokens, self.service, self._start, self._folder = issuer, tokens, service, start, folder

    def open(self, do: list[Json] | None = None, more: str = "", secret: str = SECRET) -> Gateway:
        write(self._folder, do or [{"nothing": {"set": {"done": True}}}])
        config = CONFIG.format(issuer=self.issuer.url, tokens=self.tokens.url, service=self.service.url, more=more)
        return self._start(config, environment={"SECRET": secret})

    def check_nothing_lies_around(self, *more: str) -> None:
        """No token and no secret is in anything that the gateway has written."""
        basic = base64.b64encode(f"gateway:{SECRET}".encode()).decode()
        secrets = [SECRET, basic, *self.tokens.issued, *more]
        files = [path for path in self._folder.iterdir() if path.suffix != ".yaml" and path.is_file()]
        assert {"log", "access.log", "stagedoor.db"} <= {path.name for path in files}
        for path in files:
            content = path.read_bytes()
            for secret in secrets:
                assert secret.encode() not in content, f"{path.name} has {secret}"


@pytest.fixture
def shop(gateway: Start, issuer: Issuer, tokens: TokenService, service: Service, tmp_path: Path) -> Shop:
    return Shop(gateway, issuer, tokens, service, tmp_path)


def ask(gateway: Gateway, path: str, token: str | None = None, body: Json = None, **headers: str) -> Answer:
    fields = {} if token is None else {"authorization": f"Bearer {token}"}
    return gateway.request("GET" if body is None else "POST", path, body, {**fields, **headers})


def call(cluster: str, path: str) -> Json:
    return {"call": "http", "with": {"method": "post", "endpoint": f"cluster://{cluster}{path}", "body": {}}}


def caught(task: Json) -> Json:
    """What a failure looks like to the workflow, as its output."""
    handler = [{"note": {"set": {"caught": "${ $failure }"}}}]
    return {"try": [{"inner": task}], "catch": {"as": "failure", "do": handler}}


def test_routes_and_workflows_prove_themselves_alike(shop: Shop) -> None:
    do = [
        {"fixed": call("fixed", "/w/fixed")},
        {"own": call("own", "/w/own")},
        {"callers": call("callers", "/w/callers")},
    ]
    running = shop.open(do)
    ann = shop.issuer.token("ann")
    until(lambda: ask(running, "/fixed", ann).status == 200)
    assert [ask(running, path, ann).status for path in ("/own", "/callers/a")] == [200, 200]
    assert ask(running, "/flow", ann, {}).status == 200
    assert ask(running, "/both", ann).status == 200
    seen = {each.path: each.headers["authorization"].removeprefix("Bearer ") for each in shop.service.requests}
    own, anns = (next(token for token in shop.tokens.issued if token.endswith(who)) for who in ("gateway", "ann"))
    assert seen == {
        "/fixed": SECRET, "/w/fixed": SECRET, "/own": own, "/w/own": own, "/callers/a": anns, "/w/callers": anns,
        "/a/callers": anns, "/a/fixed": SECRET,
    }  # fmt: skip
    assert len(shop.tokens.issued) == 2, "workflows use what routes have got"
    shop.check_nothing_lies_around(ann)


def test_each_caller_is_called_for_and_none_for_another(shop: Shop) -> None:
    running = shop.open([{"callers": caught(call("callers", "/w/callers"))}])
    ann, bob = shop.issuer.token("ann"), shop.issuer.token("bob")
    until(lambda: ask(running, "/callers/a", ann).status == 200)
    for token in (ann, bob, ann):
        assert ask(running, "/flow", token, {}).status == 200
    seen = [each.headers["authorization"].rpartition("-")[2] for each in shop.service.requests]
    assert seen == ["ann", "ann", "bob", "ann"]
    # Nobody's and a key's executions have no token that could be exchanged; the failure can be caught.
    for headers in ({}, {"x-api-key": "key-of-job-0123456789"}):
        failure = ask(running, "/flow", None, {}, **headers).json["caught"]
        assert (failure["status"], len(shop.service.requests)) == (403, 4), failure
    shop.tokens.refused.add("carl")
    carl = shop.issuer.token("carl")
    answer = ask(running, "/callers/a", carl)
    assert (answer.status, "invalid_token" in answer.headers["www-authenticate"]) == (401, True)
    assert ask(running, "/flow", carl, {}).json["caught"]["status"] == 401
    assert len(shop.service.requests) == 4
    shop.check_nothing_lies_around(ann, bob, carl)


def test_after_a_crash_an_execution_does_not_call_as_anybody_else(shop: Shop) -> None:
    do = [
        {"first": call("callers", "/w/first")},
        {"wait": call("plain", "/hang")},
        {"second": caught(call("callers", "/w/second"))},
    ]
    # Not even as the gateway, which callers without a token are called for by.
    running = shop.open(do, "otherwise: client_credentials")
    ann = shop.issuer.token("ann")
    until(lambda: ask(running, "/callers/a", ann).status == 200)
    started = ask(running, "/flow", ann, {}, prefer="respond-async")
    assert started.status == 202
    shop.service.await_request("/hang")
    job = ask(running, "/flow", None, {}, **{"prefer": "respond-async", "x-api-key": "key-of-job-0123456789"})
    shop.service.await_request("/hang", 2)
    running.kill()
    shop.check_nothing_lies_around(ann)
    running = shop.open(do, "otherwise: client_credentials")
    shop.service.release()

    def ended(answer: Answer, **headers: str) -> Json:
        token = ann if not headers else None
        state = ask(running, answer.headers["location"], token, **headers)
        return state.status == 200 and state.json["status"] == "completed" and state.json["output"]

    failure = until(lambda: ended(started))["caught"]
    assert (failure["status"], "restart" in failure["detail"]) == (403, True), failure
    # One that never had a token of its caller goes on as it began.
    until(lambda: ended(job, **{"x-api-key": "key-of-job-0123456789"}))
    seconds = [each.headers["authorization"].rpartition("-")[2] for each in shop.service.to("/w/second")]
    assert set(seconds) == {"gateway"}
    shop.check_nothing_lies_around(ann)


def test_a_new_secret_takes_effect_at_a_reload_under_load(shop: Shop, tmp_path: Path) -> None:
    running = shop.open()
    config = tmp_path / "stagedoor.yaml"
    until(lambda: ask(running, "/own").status == 200)
    config.write_text(config.read_text().replace('client_secret: "${env:SECRET}"', 'client_secret: "the-new-one"'))
    running.signal(signal.SIGHUP)
    expected = "Basic " + base64.b64encode(b"gateway:the-new-one").decode()

    def renewed() -> bool:
        assert ask(running, "/own").status == 200
        return shop.tokens.requests[-1].headers["authorization"] == expected

    until(renewed)
    assert json.loads((tmp_path / "access.log").read_text().splitlines()[-1])["status"] == 200
