"""Envoy's external authorization over gRPC, with the messages that Envoy publishes."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from deciders import GrpcAuthorizer, http_server, told
from envoy.config.core.v3.base_pb2 import HeaderValue, HeaderValueOption, QueryParameter
from envoy.service.auth.v3.external_auth_pb2 import CheckRequest, CheckResponse, DeniedHttpResponse, OkHttpResponse
from envoy.type.v3.http_status_pb2 import HttpStatus
from google.protobuf.wrappers_pb2 import BoolValue
from google.rpc.status_pb2 import Status
from running import Gateway, until

Action = HeaderValueOption.HeaderAppendAction
CONFIG = """
listeners: {{public: {{bind: "127.0.0.1:0", http2: {{h2c: true}}}}}}
admin: {{bind: "127.0.0.1:0"}}
consumers: {{web: {{api_keys: [the-key-of-the-web-app], scopes: [read], groups: [staff]}}}}
policies: {{request_id: {{}}, access_log: {{path: access.log}}}}
clusters:
  authorizer: {{endpoints: ["http://127.0.0.1:{port}"], protocol: h2c}}
  service: {{endpoints: ["http://127.0.0.1:{service}"]}}
routes:
  open:
    match: {{path: "/open/{{rest...}}"}}
    policies:
      authorize: {{ext_authz: {{cluster: authorizer, grpc: {{context: {{realm: shop}}}}, headers: ["*"], timeout: 5s}}}}
    target: {{cluster: service}}
  known:
    match: {{path: /known}}
    policies:
      authenticate: {{any: [api_key]}}
      authorize: {{ext_authz: {{cluster: authorizer, grpc: {{}}, headers: [x-case], timeout: 5s, body: {{max: 16B}}}}}}
    target: {{cluster: service}}
  begun:
    match: {{path: /begun}}
    policies:
      authorize:
        ext_authz: {{cluster: authorizer, grpc: {{}}, timeout: 5s, body: {{max: 4B, partial: true, raw: true}}}}
    target: {{cluster: service}}
  kept:
    match: {{path: /kept}}
    policies:
      authorize: {{ext_authz: {{cluster: authorizer, grpc: {{}}, headers: [x-case], timeout: 5s, cache: 1h}}}}
    target: {{cluster: service}}
"""


def header(name: str, value: str, append: bool | None = None, **more: Any) -> HeaderValueOption:
    flag = None if append is None else BoolValue(value=append)
    return HeaderValueOption(header=HeaderValue(key=name, value=value), append=flag, **more)


def passes(**parts: Any) -> CheckResponse:
    return CheckResponse(status=Status(code=0), ok_response=OkHttpResponse(**parts))


def denied(code: int = 403, body: str = "", *headers: HeaderValueOption) -> CheckResponse:
    response = DeniedHttpResponse(status=HttpStatus(code=code), headers=headers, body=body)
    return CheckResponse(status=Status(code=7), denied_response=response)


BAD_NAME = HeaderValueOption(header=HeaderValue(key="x-a\r\nx-consumer-id", value="root"))
RAW = HeaderValueOption(header=HeaderValue(key="x-raw", raw_value=b"a\r\nx-consumer-id: root"))
# By `x-case`: what the authorizer says of it.
SAYS: dict[str, CheckResponse | bytes | grpc.StatusCode] = {
    "plain": CheckResponse(status=Status(code=0)),
    "changed": passes(
        headers=[
            header("x-tenant", "red"),
            header("x-list", "c", append=True),
            header("x-there", "new", append_action=Action.ADD_IF_ABSENT),
            header("x-not-there", "new", append_action=Action.OVERWRITE_IF_EXISTS),
            header("x-empty", ""),
            header("authorization", "Bearer of-the-authorizer"),
            # None of these is its to say.
            header("x-consumer-id", "root"),
            header("X_Consumer_Groups", "admin"),
            header("x-stagedoor-a", "1"),
            header("client-cert", ":AA==:"),
            header("host", "evil.example"),
            header("content-length", "3"),
            header("transfer-encoding", "chunked"),
            header("connection", "x-tenant"),
            header("x-forwarded-for", "10.0.0.1"),
        ],
        headers_to_remove=["x-secret", "host", "x-forwarded-proto"],
        response_headers_to_add=[
            header("x-late", "of the authorizer"),
            header("x-own", "authorizer", append=False),
            header("set-cookie", "a=1"),
            header("content-length", "1"),
            header("connection", "close"),
        ],
        query_parameters_to_set=[QueryParameter(key="who", value="a&b=c d"), QueryParameter(key="page", value="1")],
        query_parameters_to_remove=["token"],
    ),
    "denied": denied(
        418,
        "no tea for you",
        header("x-why", "tea"),
        header("content-type", "text/plain"),
        header("content-length", "1"),
    ),
    "redirected": denied(
        302, "", header("location", "https://login.example/"), header("set-cookie", "a=1"), header("set-cookie", "b=2")
    ),
    "challenged": denied(401, "", header("www-authenticate", "Bearer")),
    "refused": CheckResponse(status=Status(code=16)),
    # Nothing of these is an answer.
    "empty": b"",
    "garbage": b"\xff\xff\xff\xff",
    "beyond": b"\x0a\xff\xff\xff\xff\x0f",
    "both": CheckResponse(status=Status(code=0), denied_response=DeniedHttpResponse()),
    "no-status": denied(42),
    "continue": denied(100),
    "bad-name": passes(headers=[BAD_NAME]),
    "bad-value": passes(headers=[RAW]),
    "bad-removal": passes(headers_to_remove=["a b"]),
    "bad-denial": denied(403, "x", RAW),
    "bad-response": passes(response_headers_to_add=[RAW]),
    "long": denied(403, "a" * 70_000),
    "failed": grpc.StatusCode.INTERNAL,
}


def decide(request: CheckRequest) -> CheckResponse | bytes | grpc.StatusCode:
    return SAYS[request.attributes.request.http.headers.get("x-case", "plain")]


@pytest.fixture(scope="module")
def authorizer() -> Iterator[GrpcAuthorizer]:
    with GrpcAuthorizer(decide) as running:
        yield running


@pytest.fixture(scope="module")
def door(authorizer: GrpcAuthorizer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    with http_server(told) as service:
        folder = tmp_path_factory.mktemp("door")
        (folder / "stagedoor.yaml").write_text(CONFIG.format(port=authorizer.port, service=service))
        running = Gateway(folder)
        try:
            assert running.addresses, running.log
            yield running
        finally:
            running.kill()


def ask(door: Gateway, target: str, fields: dict[str, str], content: bytes | None = None) -> tuple[int, Any, bytes]:
    connection = http.client.HTTPConnection(door.addresses["listeners"]["public"], timeout=60)
    connection.request("POST" if content is not None else "GET", target, content, fields)
    answer = connection.getresponse()
    return answer.status, answer.headers, answer.read()


def test_a_request_is_told_whole_and_what_passes_is_changed_as_the_authorizer_says(
    door: Gateway, authorizer: GrpcAuthorizer
) -> None:
    fields = {
        "x-case": "changed",
        "x-tenant": "blue",
        "x-list": "a",
        "x-there": "old",
        "x-secret": "s",
        "cookie": "a=b",
    }
    status, headers, body = ask(door, "/open/%41/b?token=t&page=7&x=1", {"Host": "shop.example", **fields})
    assert status == 200
    asked = authorizer.asked[-1].attributes
    http_part = asked.request.http
    assert (http_part.method, http_part.path, http_part.host, http_part.scheme, http_part.protocol) == (
        "GET", "/open/A/b?token=t&page=7&x=1", "shop.example", "http", "HTTP/1.1",
    )  # fmt: skip
    assert (http_part.query, http_part.size) == ("token=t&page=7&x=1", -1)
    assert http_part.id
    assert {**http_part.headers, **fields} == dict(http_part.headers)
    assert http_part.headers[":path"] == http_part.path
    assert asked.request.time.seconds > 1_700_000_000
    assert asked.source.address.socket_address.address == "127.0.0.1"
    assert asked.source.address.socket_address.port_value > 0
    assert asked.destination.service == "open"
    assert dict(asked.context_extensions) == {"realm": "shop"}
    assert 0 < authorizer.deadlines[-1] <= 5
    got = json.loads(body)
    assert got["target"] == "/open/A/b?x=1&who=a%26b%3Dc%20d&page=1"
    seen = got["fields"]
    assert seen["x-tenant"] == "red"
    assert seen["x-list"] in ("a, c", "c")  # the service joins them, or keeps the last
    assert (seen["x-there"], seen["authorization"]) == ("old", "Bearer of-the-authorizer")
    assert seen["host"] == "shop.example"
    assert seen["x-forwarded-for"] == "127.0.0.1"
    assert seen["x-forwarded-proto"] == "http"
    assert not {"x-not-there", "x-empty", "x-secret", "content-length", "transfer-encoding", "client-cert"} & set(seen)
    assert not [name for name in seen if "consumer" in name or "stagedoor-" in name]
    assert headers.get_all("x-late") == ["of the service", "of the authorizer"]
    assert headers.get_all("x-own") == ["authorizer"]
    assert headers["set-cookie"] == "a=1"
    assert int(headers["content-length"]) == len(body)


def test_who_calls_is_told_with_what_is_known_and_without_the_credential(
    door: Gateway, authorizer: GrpcAuthorizer
) -> None:
    status, _, body = ask(door, "/known", {"X-API-Key": "the-key-of-the-web-app", "Accept": "*/*"}, b"caf\xc3\xa9")
    assert status == 200, body
    asked = authorizer.asked[-1]
    assert asked.attributes.source.principal == "web"
    known = asked.attributes.metadata_context.filter_metadata["stagedoor"]
    assert known["route"] == "known"
    assert known["consumer"]["name"] == "web"
    assert list(known["consumer"]["groups"]) == ["staff"]
    assert list(known["consumer"]["scopes"]) == ["read"]
    assert known["consumer"]["plan"] is None
    assert asked.attributes.request.http.body == "café"
    assert "accept" not in asked.attributes.request.http.headers
    assert b"the-key" not in asked.SerializeToString()
    assert json.loads(body)["content"].encode("latin-1") == b"caf\xc3\xa9"
    assert json.loads(body)["fields"]["x-consumer-id"] == "web"


def test_content_is_shown_to_its_bound_and_arrives_whole(door: Gateway, authorizer: GrpcAuthorizer) -> None:
    key = {"X-API-Key": "the-key-of-the-web-app"}
    before = len(authorizer.asked)
    assert ask(door, "/known", key, b"a" * 17)[0] == 413
    assert ask(door, "/known", key, b"\xff")[0] == 400
    assert len(authorizer.asked) == before
    for content, shown, partial in ((b"\xff\x00ab", b"\xff\x00ab", "false"), (b"abcde" * 10_000, b"abcd", "true")):
        status, _, body = ask(door, "/begun", {}, content)
        assert status == 200
        http_part = authorizer.asked[-1].attributes.request.http
        assert (http_part.raw_body, http_part.body) == (shown, "")
        assert http_part.headers["x-envoy-auth-partial-body"] == partial
        assert json.loads(body)["content"].encode("latin-1") == content


def test_a_refusal_is_the_authorizers_own(door: Gateway) -> None:
    status, headers, body = ask(door, "/open/a", {"x-case": "denied"})
    assert (status, headers["x-why"], headers["content-type"], body) == (418, "tea", "text/plain", b"no tea for you")
    status, headers, body = ask(door, "/open/a", {"x-case": "redirected"})
    assert (status, headers["location"], headers.get_all("set-cookie")) == (
        302,
        "https://login.example/",
        ["a=1", "b=2"],
    )
    status, headers, body = ask(door, "/open/a", {"x-case": "challenged"})
    assert (status, headers["www-authenticate"]) == (401, "Bearer")
    status, headers, body = ask(door, "/open/a", {"x-case": "refused"})
    assert (status, headers["content-type"]) == (403, "application/problem+json")
    assert b"ext_authz" not in body
    until(lambda: "authorize: ext_authz refused it" in (door.folder / "access.log").read_text())


def test_without_a_clear_word_nobody_passes(door: Gateway) -> None:
    undecided = list(SAYS)[list(SAYS).index("empty") :]
    for case in undecided:
        status, headers, body = ask(door, "/open/a", {"x-case": case})
        assert (status, json.loads(body)["title"]) == (503, "Whether this is allowed cannot be decided"), case
        assert "x-raw" not in headers, case
        assert b"ext_authz" not in body


def test_a_call_of_grpc_is_refused_in_its_own_words(door: Gateway) -> None:
    options = [("grpc.enable_http_proxy", 0)]
    with grpc.insecure_channel(door.addresses["listeners"]["public"], options) as channel:
        call = channel.unary_unary("/open/a")
        for case, code in (
            ("denied", "PERMISSION_DENIED"),
            ("challenged", "UNAUTHENTICATED"),
            ("empty", "UNAVAILABLE"),
        ):
            with pytest.raises(grpc.RpcError) as error:
                call(b"", metadata=[("x-case", case)], timeout=30)
            assert error.value.code().name == code


def test_a_decision_is_kept_for_the_same_question_and_no_cookie_is_given_twice(
    door: Gateway, authorizer: GrpcAuthorizer
) -> None:
    def asked(case: str) -> int:
        before = len(authorizer.asked)
        for _ in range(3):
            ask(door, "/kept", {"x-case": case, "x-other": str(before)})
        return len(authorizer.asked) - before

    assert asked("plain") == 1
    assert asked("denied") == 1
    assert asked("changed") == 3
    assert asked("failed") == 3
