"""Envoy's external authorization over HTTP: one server decides, another says what it likes."""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from deciders import http_server, told
from running import Gateway

CONFIG = """
listeners: {{public: {{bind: "127.0.0.1:0"}}}}
admin: {{bind: "127.0.0.1:0"}}
consumers: {{web: {{api_keys: [the-key-of-the-web-app, the-next-key-of-the-web-app], groups: [staff]}}}}
clusters:
  authorizer:
    endpoints: ["http://127.0.0.1:{port}"]
  hostile: {{endpoints: ["http://127.0.0.1:{hostile}"], ejection: {{failures: 0}}, retry: {{attempts: 0}}}}
  service: {{endpoints: ["http://127.0.0.1:{service}"]}}
routes:
  asked:
    match: {{path: "/asked/{{rest...}}"}}
    policies:
      authenticate: {{any: [api_key], anonymous: {{}}}}
      authorize:
        ext_authz:
          cluster: authorizer
          http:
            path_prefix: /check
            upstream_headers: [x-tenant, x-consumer-id, x-forwarded-for]
            response_headers: [x-note]
            client_headers: [x-why]
          headers: ["*"]
          body: {{max: 1KiB, partial: true}}
    target: {{cluster: service}}
  kept:
    match: {{path: "/kept"}}
    policies:
      authenticate: {{any: [api_key]}}
      authorize: {{ext_authz: {{cluster: authorizer, http: {{}}, cache: 1h}}}}
    target: {{cluster: service}}
  hostile:
    match: {{path: "/hostile/{{rest...}}"}}
    policies:
      authorize:
        ext_authz:
          cluster: hostile
          http: {{upstream_headers: ["*"], response_headers: ["*"], client_headers: ["*"]}}
          timeout: 500ms
    target: {{cluster: service}}
"""

asked: list[tuple[str, str, dict[str, str], bytes]] = []


def decide(
    method: str, target: str, fields: dict[str, str], content: bytes
) -> tuple[int, list[tuple[str, str]], bytes]:
    asked.append((method, target, fields, content))
    match fields.get("x-case"):
        case "login":
            return (
                302,
                [("Location", "https://login.example/"), ("X-Why", "who are you"), ("X-Inner", "7")],
                b"go there",
            )
        case "gone":
            return 410, [("Content-Type", "text/plain")], b"gone"
        case "nothing":
            return 200, [], b""
        case "ours":
            return 500, [], b"broken"
        case "accepted":
            return 202, [], b""
    allowed = [("X-Tenant", "red"), ("X-Tenant", "green"), ("X-Consumer-ID", "root"), ("X-Forwarded-For", "10.0.0.1")]
    return (
        200,
        [*allowed, ("X-Inner", "7"), ("X-Note", "n"), ("X-Envoy-Auth-Headers-To-Remove", "x-secret, host")],
        b"yes",
    )


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"
# By the path: what is sent instead of an answer, and what the client then gets. None: nothing for ever.
HOSTILE: dict[str, tuple[bytes | None, int]] = {
    "fine": (OK + b"\r\n", 200),
    "silent": (None, 503),
    "closed": (b"", 503),
    "half": (b"HTTP/1.1 200 OK\r\nContent-Le", 503),
    "short": (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 10\r\n\r\nno", 503),
    "not-http": (b"\x16\x03\x01\x00\xa5\x01\x00", 503),
    "control": (OK + b"X-Raw: a\x01b\r\n\r\n", 503),
    "null": (OK + b"X-Raw: a\x00b\r\n\r\n", 503),
    "folded": (OK + b"X-Raw: a\r\n X-Consumer-ID: root\r\n\r\n", 503),
    "bare": (OK + b"X-Raw: a\rX-Consumer-ID: root\r\n\r\n", 503),
    "line-feed": (OK + b"X-Raw: a\nX-Consumer-ID: root\r\n\r\n", 200),
    "identity": (
        OK + b"X-Consumer-ID: root\r\nX_Consumer_Groups: admin\r\nX-StageDoor-A: b\r\nClient-Cert: :AA==:\r\n\r\n",
        200,
    ),
    "framing": (
        OK + b"Transfer_Encoding: chunked\r\nUpgrade: h2c\r\nX_Forwarded_For: 10.0.0.1\r\nExpect: 100-continue\r\n\r\n",
        200,
    ),
    "removal": (OK + b"X-Envoy-Auth-Headers-To-Remove: host, x-forwarded-for, a b\r\n\r\n", 503),
    "switch": (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n", 503),
    "both-lengths": (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nContent-Length: 5\r\n\r\nhello", 503),
    "long": (b"HTTP/1.1 403 Forbidden\r\nContent-Length: 70000\r\n\r\n" + b"a" * 70_000, 503),
    "no-status": (b"HTTP/1.1 999 Odd\r\nContent-Length: 0\r\n\r\n", 503),
}


def converse(stream: socket.socket) -> None:
    with stream:
        head = b""
        while b"\r\n\r\n" not in head:
            piece = stream.recv(4096)
            if not piece:
                return
            head += piece
        answer = HOSTILE[head.split(b" ")[1].split(b"/")[2].decode()][0]
        if answer is None:
            stream.recv(1)
            return
        stream.sendall(answer)
        stream.shutdown(socket.SHUT_WR)
        while stream.recv(4096):
            pass


@pytest.fixture(scope="module")
def door(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        while True:
            try:
                stream, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=converse, args=(stream,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    with http_server(told) as service, http_server(decide) as port:
        folder = tmp_path_factory.mktemp("door")
        hostile = listener.getsockname()[1]
        (folder / "stagedoor.yaml").write_text(CONFIG.format(port=port, service=service, hostile=hostile))
        running = Gateway(folder)
        try:
            assert running.addresses, running.log
            yield running
        finally:
            running.kill()
            listener.close()


def ask(
    door: Gateway, method: str, target: str, fields: dict[str, str], content: bytes | None = None
) -> tuple[int, Any, bytes]:
    connection = http.client.HTTPConnection(door.addresses["listeners"]["public"], timeout=60)
    connection.request(method, target, content, fields)
    answer = connection.getresponse()
    return answer.status, answer.headers, answer.read()


def test_the_authorizer_is_asked_with_the_requests_own_method_and_path_behind_the_prefix(door: Gateway) -> None:
    fields = {"Host": "shop.example", "X-Api-Key": "the-key-of-the-web-app", "X-Secret": "s", "If-None-Match": "a"}
    status, headers, body = ask(door, "PUT", "/asked/a%20b?x=1", fields, b"content" * 1000)
    method, target, seen, content = asked[-1]
    assert (method, target, content) == ("PUT", "/check/asked/a%20b?x=1", (b"content" * 1000)[:1024])
    assert (seen["host"], seen["x-forwarded-for"], seen["x-secret"]) == ("shop.example", "127.0.0.1", "s")
    assert (seen["x-consumer-id"], seen["x-consumer-groups"]) == ("web", "staff")
    assert seen["x-envoy-auth-partial-body"] == "true"
    assert "x-api-key" not in seen
    assert "if-none-match" not in seen
    assert status == 200
    got = json.loads(body)
    assert got["content"] == "content" * 1000
    assert got["target"] == "/asked/a%20b?x=1"
    assert got["fields"]["x-tenant"] in ("green", "red, green")
    assert (got["fields"]["x-consumer-id"], got["fields"]["x-forwarded-for"]) == ("web", "127.0.0.1")
    assert got["fields"]["host"] == "shop.example"
    assert "x-secret" not in got["fields"]
    assert "x-inner" not in got["fields"]
    assert headers["x-note"] == "n"
    assert "x-inner" not in headers


def test_what_the_authorizer_has_the_word_on_is_never_the_clients(door: Gateway) -> None:
    for case in ("nothing", "tenant"):
        fields = {"x-case": case, "X-Tenant": "forged", "X_Tenant": "forged"}
        status, _, body = ask(door, "GET", "/asked/a", fields)
        assert status == 200
        assert asked[-1][2]["x-tenant"] == "forged", "it may see what the client says"
        assert "forged" not in json.loads(body)["fields"].values()


def test_a_decision_on_one_credential_is_none_on_another_of_the_same_consumer(door: Gateway) -> None:
    before = len(asked)
    for key in ("the-key-of-the-web-app", "the-next-key-of-the-web-app") * 2:
        assert ask(door, "GET", "/kept", {"X-Api-Key": key})[0] == 200
    told = [fields["x-consumer-credential"] for _, _, fields, _ in asked[before:]]
    assert len(told) == len(set(told)) == 2, told


def test_a_refusal_is_told_with_what_its_client_may_see(door: Gateway) -> None:
    status, headers, body = ask(door, "GET", "/asked/a", {"x-case": "login"})
    assert (status, headers["location"], headers["x-why"], body) == (
        302,
        "https://login.example/",
        "who are you",
        b"go there",
    )
    assert "x-inner" not in headers
    status, headers, body = ask(door, "GET", "/asked/a", {"x-case": "gone"})
    assert (status, headers["content-type"], body) == (410, "text/plain", b"gone")
    status, headers, body = ask(door, "HEAD", "/asked/a", {"x-case": "gone"})
    assert (status, body) == (410, b"")
    for case in ("ours", "accepted"):
        assert ask(door, "GET", "/asked/a", {"x-case": case})[0] == 503


@pytest.mark.parametrize("case", HOSTILE)
def test_a_hostile_authorizer_gains_nothing(door: Gateway, case: str) -> None:
    status, headers, body = ask(door, "GET", f"/hostile/{case}", {"Host": "shop.example", "X-Mine": "1"})
    assert status == HOSTILE[case][1], body
    if status != 200:
        assert json.loads(body)["type"].endswith("#authorization-unavailable")
        assert int(headers["retry-after"]) > 0
        assert "x-raw" not in headers
        return
    seen = json.loads(body)["fields"]
    named = {name.replace("_", "-") for name in seen}
    assert not [name for name in named if name.startswith(("x-consumer", "x-stagedoor", "client-cert"))]
    assert not named & {"upgrade", "expect", "transfer-encoding"}
    assert (seen["host"], seen["x-mine"], seen["x-forwarded-for"]) == ("shop.example", "1", "127.0.0.1")
    assert "x_forwarded_for" not in seen
    assert len(headers.get_all("content-length")) == 1
    assert int(headers["content-length"]) == len(body)
