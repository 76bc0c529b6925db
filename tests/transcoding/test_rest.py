"""Clients of gRPC, a service of HTTP and JSON."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.protobuf import json_format
from google.rpc import error_details_pb2
from grpc_status import rpc_status
from kitchen import kitchen as type_of
from kitchen import pool
from running import Gateway
from translated import DESCRIPTORS, cluster, start

Json = Any


class Shelves:
    """Answers what it was told to, and remembers what it was asked."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str, dict[str, str], bytes]] = []
        self.answer: tuple[int, str, bytes] = (200, "application/json", b"{}")
        shelves = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self) -> None:
                content = self.rfile.read(int(self.headers.get("content-length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                shelves.seen.append((self.command, self.path, headers, content))
                status, kind, body = shelves.answer
                self.send_response(status)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(body)))
                self.send_header("x-answer", "1")
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_POST = do_PATCH = do_PUT = do_PURGE = answer

            def log_message(self, *_: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()


@pytest.fixture(scope="module")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Shelves, Gateway]]:
    shelves = Shelves()
    folder: Path = tmp_path_factory.mktemp("rest")
    policies = {"translate": {"rest": DESCRIPTORS | {"base_path": "/api"}}}
    clusters = {"kitchen": cluster(shelves.server.server_port, protocol="http1")}
    door = start(folder, clusters, {"all": {"policies": policies}})
    yield shelves, door
    door.kill()
    shelves.server.shutdown()


@pytest.fixture
def shelves(behind: tuple[Shelves, Gateway]) -> Shelves:
    behind[0].seen.clear()
    behind[0].answer = (200, "application/json", b"{}")
    return behind[0]


@pytest.fixture
def channel(behind: tuple[Shelves, Gateway]) -> Iterator[grpc.Channel]:
    options = [("grpc.enable_http_proxy", 0)]
    with grpc.insecure_channel(behind[1].addresses["listeners"]["public"], options=options) as channel:
        yield channel


def call(channel: grpc.Channel, method: str, request: Any, **options: Any) -> Any:
    described = pool().FindServiceByName("kitchen.v1.Kitchen").FindMethodByName(method)
    make = channel.unary_stream if described.server_streaming else channel.unary_unary
    made = make(
        f"/kitchen.v1.Kitchen/{method}",
        request_serializer=lambda message: message.SerializeToString(),
        response_deserializer=type_of(described.output_type.name).FromString
        if described.output_type.full_name.startswith("kitchen")
        else None,
    )
    return made(request, timeout=20, **options)


@pytest.mark.parametrize(
    ("method", "message", "asked"),
    [
        ("GetShelf", {"name": "shelves/a b"}, ("GET", "/api/v1/shelves/a%20b", None)),
        ("GetShelf", {"name": "shelves/1", "force": True}, ("GET", "/api/v1/shelves/1?force=true", None)),
        ("GetBook", {"name": "shelves/1/books/2/3"}, ("GET", "/api/v1/shelves/1/books/2/3", None)),
        ("GetBook", {"name": "archives/a/b"}, ("GET", "/api/v1/archives/a/b/content", None)),
        ("Archive", {"name": "shelves/1", "force": True}, ("POST", "/api/v1/shelves/1:archive", {"force": True})),
        ("Purge", {"name": "shelves/1"}, ("PURGE", "/api/v1/shelves/1", None)),
        (
            "Update",
            {"book": {"name": "shelves/1/books/2", "title": "T"}, "mask": "title"},
            ("PATCH", "/api/v1/shelves/1/books/2?mask=title", {"title": "T"}),
        ),
        (
            "Authors",
            {"name": "a/&", "authors": ["x", "y"], "pages": 5},
            ("GET", "/api/v1/authors?name=a%2F%26&pages=5&authors=x&authors=y", None),
        ),
    ],
)
def test_a_message_becomes_path_query_and_content(
    channel: grpc.Channel, shelves: Shelves, method: str, message: Json, asked: tuple[str, str, Json]
) -> None:
    described = pool().FindServiceByName("kitchen.v1.Kitchen").FindMethodByName(method)
    if method == "Authors":
        shelves.answer = (200, "application/json", b'["z"]')
    answer = call(channel, method, json_format.ParseDict(message, type_of(described.input_type.name)()))
    command, path, headers, content = shelves.seen[-1]
    assert (command, path, json.loads(content) if content else None) == asked
    assert not [name for name in headers if name.startswith("grpc-")]
    if method == "Authors":
        assert list(answer.authors) == ["z"]


def test_what_is_answered_becomes_a_message(channel: grpc.Channel, shelves: Shelves) -> None:
    sent = type_of("All")(a_string="ä", an_int64=2**60, string_map={"a": "b"})
    shelves.answer = (200, "application/json; charset=utf-8", json_format.MessageToJson(sent).encode())
    assert call(channel, "Echo", sent) == sent
    assert json.loads(shelves.seen[-1][3]) == {"aString": "ä", "anInt64": str(2**60), "stringMap": {"a": "b"}}
    shelves.answer = (204, "text/plain", b"")
    assert call(channel, "Echo", sent) == type_of("All")()


def test_what_has_no_place_in_the_path_is_refused(channel: grpc.Channel, shelves: Shelves) -> None:
    for name in ("", "books/1", "shelves", "shelves/..", "shelves/a/b"):
        with pytest.raises(grpc.RpcError) as refused:
            call(channel, "GetShelf", type_of("Named")(name=name))
        assert refused.value.code() == grpc.StatusCode.INVALID_ARGUMENT, name
    with pytest.raises(grpc.RpcError) as unreadable:
        channel.unary_unary("/kitchen.v1.Kitchen/GetShelf")(b"\xff", timeout=20)
    assert unreadable.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert not shelves.seen


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "INVALID_ARGUMENT"),
        (401, "UNAUTHENTICATED"),
        (404, "NOT_FOUND"),
        (409, "ABORTED"),
        (429, "RESOURCE_EXHAUSTED"),
        (503, "UNAVAILABLE"),
        (500, "INTERNAL"),
        (302, "UNKNOWN"),
    ],
)
def test_statuses_are_codes(channel: grpc.Channel, shelves: Shelves, status: int, code: str) -> None:
    shelves.answer = (status, "text/html", b"<p>no</p>")
    with pytest.raises(grpc.RpcError) as failed:
        call(channel, "GetShelf", type_of("Named")(name="shelves/1"))
    assert failed.value.code().name == code


def test_problem_details_say_more(channel: grpc.Channel, shelves: Shelves) -> None:
    problem = {
        "title": "Bad",
        "detail": "too small: ä",
        "code": "OUT_OF_RANGE",
        "details": [{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "SMALL"}],
    }
    shelves.answer = (400, "application/problem+json", json.dumps(problem).encode())
    with pytest.raises(grpc.RpcError) as failed:
        call(channel, "GetShelf", type_of("Named")(name="shelves/1"))
    assert (failed.value.code(), failed.value.details()) == (grpc.StatusCode.OUT_OF_RANGE, "too small: ä")
    status = rpc_status.from_call(failed.value)
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert info.reason == "SMALL"


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("application/x-ndjson", b'{"value": 1}\n{"value": "2"}\n'),
        ("application/json", b'[{"value": 1},\n {"value": 2}]'),
        ("text/event-stream", b'data: {"value": 1}\n\n: comment\n\ndata: {"value":\r\ndata: 2}\n\n'),
    ],
)
def test_streams_are_messages(channel: grpc.Channel, shelves: Shelves, kind: str, text: bytes) -> None:
    shelves.answer = (200, kind, text)
    assert [each.value for each in call(channel, "Counting", type_of("Count")(to=2))] == [1, 2]
    assert shelves.seen[-1][1] == "/api/v1/count/2"


def test_a_stream_that_is_none_ends_the_call(channel: grpc.Channel, shelves: Shelves) -> None:
    shelves.answer = (200, "application/x-ndjson", b'{"value": 1}\n{"value": "x"}\n')
    answers = call(channel, "Counting", type_of("Count")(to=2))
    assert next(answers).value == 1
    with pytest.raises(grpc.RpcError) as failed:
        next(answers)
    assert failed.value.code() == grpc.StatusCode.INTERNAL
    shelves.answer = (200, "application/json", b"nonsense")
    with pytest.raises(grpc.RpcError) as broken:
        call(channel, "GetShelf", type_of("Named")(name="shelves/1"))
    assert broken.value.code() == grpc.StatusCode.INTERNAL


def test_methods_that_cannot_be_are_not_there(channel: grpc.Channel, behind: tuple[Shelves, Gateway]) -> None:
    for method in ("Sum", "Plain", "Nothing"):
        make = channel.unary_unary(f"/kitchen.v1.Kitchen/{method}")
        with pytest.raises(grpc.RpcError) as failed:
            make(b"", timeout=20)
        assert failed.value.code() == grpc.StatusCode.UNIMPLEMENTED


def test_other_requests_pass_as_they_are(behind: tuple[Shelves, Gateway], shelves: Shelves) -> None:
    assert behind[1].request("GET", "/anything?a=b").status == 200
    assert shelves.seen[-1][1] == "/anything?a=b"
