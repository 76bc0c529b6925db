"""Methods with several messages, either way."""

from __future__ import annotations

import http.client
import json
import socket
import struct
from collections.abc import Callable
from typing import Any

import h2.connection
import h2.events
import pytest
from kitchen import Kitchen
from running import Answer, Gateway, until
from translated import Door

Json = Any


def ask(
    door: Gateway,
    method: str,
    path: str,
    content: Any = None,
    headers: dict[str, str] | None = None,
) -> http.client.HTTPResponse:
    connection = http.client.HTTPConnection(door.addresses["listeners"]["public"], timeout=30)
    connection.request(method, path, content, headers or {}, encode_chunked=not isinstance(content, bytes | None))
    return connection.getresponse()


@pytest.mark.parametrize(
    ("accept", "kind", "text"),
    [
        (None, "application/json", b'[{"value":"1"},\n{"value":"2"}]'),
        ("application/json", "application/json", b'[{"value":"1"},\n{"value":"2"}]'),
        ("application/x-ndjson", "application/x-ndjson", b'{"value":"1"}\n{"value":"2"}\n'),
        ("text/event-stream", "text/event-stream", b'data: {"value":"1"}\n\ndata: {"value":"2"}\n\n'),
        (
            "text/event-stream;q=0.5, application/x-ndjson",
            "application/x-ndjson",
            b'{"value":"1"}\n{"value":"2"}\n',
        ),
        ("text/event-stream;q=0, */*", "application/json", b'[{"value":"1"},\n{"value":"2"}]'),
        ("text/html, text/event-stream;q=0.9", "text/event-stream", b'data: {"value":"1"}\n\ndata: {"value":"2"}\n\n'),
    ],
)
def test_a_stream_is_written_as_its_client_wants_it(door: Gateway, accept: str | None, kind: str, text: bytes) -> None:
    answer = door.request("GET", "/v1/count/2", headers={} if accept is None else {"accept": accept})
    assert (answer.status, answer.headers["content-type"], answer.body) == (200, kind, text)


def test_the_configuration_says_how_where_the_client_does_not(host: Callable[[str], Door]) -> None:
    door = host("lines")
    assert door.request("GET", "/v1/count/2").body == b'{"value":"1"}\n{"value":"2"}\n'
    assert door.request("GET", "/v1/count/1", headers={"accept": "application/json"}).body == b'[{"value":"1"}]'


def test_no_messages_are_an_empty_list(door: Gateway) -> None:
    assert door.request("GET", "/v1/count/0").json == []
    assert door.request("GET", "/v1/count/0", headers={"accept": "application/x-ndjson"}).body == b""


@pytest.mark.parametrize("accept", ["application/json", "application/x-ndjson", "text/event-stream"])
def test_every_message_comes_as_soon_as_it_is_sent(door: Gateway, kitchen: Kitchen, accept: str) -> None:
    response = ask(door, "GET", "/v1/count/2?pause_after=1", headers={"accept": accept})
    first = response.read1()
    assert b'{"value":"1"}' in first
    assert b'"2"' not in first
    kitchen.go_on.set()
    assert b'{"value":"2"}' in response.read()


def test_a_client_that_leaves_ends_the_call(door: Gateway, kitchen: Kitchen) -> None:
    connection = http.client.HTTPConnection(door.addresses["listeners"]["public"], timeout=30)
    connection.connect()
    # Gone, and not only silent: a reset.
    connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.request("GET", "/v1/count/2?pause_after=1")
    response = connection.getresponse()
    assert response.read1()
    assert not kitchen.cancelled.is_set()
    response.close()
    connection.close()
    assert kitchen.cancelled.wait(20)
    kitchen.go_on.set()


@pytest.mark.parametrize(
    ("path", "begins"), [("/v1/count/2?pause_after=1", True), ("/v1/wait", False)], ids=["stream", "unary"]
)
def test_a_stream_of_http2_that_its_client_resets_ends_the_call_alone(
    door: Gateway, kitchen: Kitchen, path: str, begins: bool
) -> None:
    host, _, port = door.addresses["listeners"]["public"].rpartition(":")
    fields = [(":method", "GET"), (":scheme", "http"), (":authority", host)]
    with socket.create_connection((host, int(port)), timeout=30) as wire:
        client = h2.connection.H2Connection()
        client.initiate_connection()

        def seen(kind: type[h2.events.Event]) -> None:
            wire.sendall(client.data_to_send())
            while not any(isinstance(event, kind) for event in client.receive_data(wire.recv(65536))):
                wire.sendall(client.data_to_send())

        client.send_headers(1, [*fields, (":path", path)], end_stream=True)
        if begins:
            seen(h2.events.DataReceived)
        else:
            wire.sendall(client.data_to_send())
            until(lambda: kitchen.times)
        assert not kitchen.cancelled.is_set()
        client.reset_stream(1, error_code=8)
        wire.sendall(client.data_to_send())
        assert kitchen.cancelled.wait(20)
        kitchen.go_on.set()
        # The connection goes on.
        client.send_headers(3, [*fields, (":path", "/v1/shelves/1")], end_stream=True)
        seen(h2.events.StreamEnded)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("application/x-ndjson", '{"value": 1}\n{"value": "2"}\n\n{"value": 3}'),
        ("application/json", '[{"value": 1}, {"value": 2},{"value":3}]'),
        ("application/json", '{"value": 1} {"value": 2}\n{"value": 3}'),
    ],
)
def test_the_messages_of_a_client_come_from_lines_or_a_list(door: Gateway, kind: str, text: str) -> None:
    response = ask(door, "POST", "/v1/sum", text.encode(), {"content-type": kind})
    assert (response.status, json.loads(response.read())) == (200, {"value": "6", "text": "3"})


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ('{"value": 1}\n{"value": "x"}\n', "Message 2"),
        ('{"value": 1}\n{"valu', "Behind message 1: the content ends"),
        ('{"value": 1}\n,', "Behind message 1: there is something else"),
        (',{"value": 1}', "Before the first message"),
    ],
)
def test_a_message_that_does_not_fit_is_400(door: Gateway, text: str, word: str) -> None:
    response = ask(door, "POST", "/v1/sum", text.encode(), {"content-type": "application/x-ndjson"})
    problem = json.loads(response.read())
    assert (response.status, problem["type"].partition("#")[2]) == (400, "invalid-body")
    assert word in problem["detail"]


def test_both_sides_talk_at_once(door: Gateway) -> None:
    connection = http.client.HTTPConnection(door.addresses["listeners"]["public"], timeout=30)
    connection.putrequest("POST", "/v1/chat/hello")
    connection.putheader("content-type", "application/x-ndjson")
    connection.putheader("accept", "application/x-ndjson")
    connection.putheader("transfer-encoding", "chunked")
    connection.endheaders()
    connection.send(b'd\r\n{"value": 1}\n\r\n')
    response = connection.getresponse()
    assert json.loads(response.read1()) == {"value": "2", "text": "hello"}
    connection.send(b'd\r\n{"value": 2}\n\r\n0\r\n\r\n')
    # What the path says is in the first message.
    assert json.loads(response.read()) == {"value": "4"}


def test_a_call_that_fails_at_once_has_its_status(door: Gateway) -> None:
    for accept in ("application/json", "application/x-ndjson", "text/event-stream"):
        answer = door.request("GET", "/v1/fails/5?message=gone", headers={"accept": accept})
        assert (answer.status, answer.headers["content-type"]) == (404, "application/problem+json")
        assert (answer.json["code"], answer.json["detail"]) == ("NOT_FOUND", "gone")


def test_a_call_that_fails_later_says_so_as_the_last_thing(door: Gateway) -> None:
    def fail(accept: str) -> Answer:
        answer = door.request("GET", "/v1/fails/5?message=gone&after=1&details=true", headers={"accept": accept})
        assert answer.status == 200
        return answer

    first, last = fail("application/json").json
    assert first == {"value": "0"} or first == {}
    problem = last["error"]
    assert (problem["status"], problem["code"], problem["detail"]) == (404, "NOT_FOUND", "gone")
    assert problem["details"][0]["fieldViolations"][0]["field"] == "a.b"
    lines = fail("application/x-ndjson").body.splitlines()
    assert json.loads(lines[-1])["error"]["code"] == "NOT_FOUND"
    events = fail("text/event-stream").body.decode().split("\n\n")
    assert events[-2].startswith("event: error\ndata: {")


def test_content_of_any_kind_goes_both_ways(door: Gateway) -> None:
    answer = door.request("GET", "/v1/files/a%2Fb")
    assert (answer.headers["content-type"], answer.body) == ("image/png", b"a/b\x00\xff")
    stream = door.request("GET", "/v1/streams/x")
    assert (stream.headers["content-type"], stream.body) == ("text/csv", b"0,x\n1,x\n2,x\n")
    sent = ask(door, "PUT", "/v1/files/x", b"\x00" * 1000, {"content-type": "image/gif"})
    assert json.loads(sent.read()) == {"value": "1000", "text": "x image/gif"}
    pieces = ask(door, "PUT", "/v1/streams/x", b"\x01" * 300_000, {"content-type": "a/b"})
    assert json.loads(pieces.read()) == {"value": "300000", "text": "['x'] a/b"}


def test_a_stream_whose_service_is_gone_does_not_end_as_whole_ones_do(
    host: Callable[[str], Door], kitchen: Kitchen
) -> None:
    headers = {"host": "idle", "accept": "application/x-ndjson"}
    response = ask(host("idle").gateway, "GET", "/v1/count/2?pause_after=1", headers=headers)
    with pytest.raises((http.client.IncompleteRead, ConnectionError)) as broken:
        response.read()
    kitchen.go_on.set()
    if isinstance(broken.value, http.client.IncompleteRead):
        last = broken.value.partial.splitlines()[-1]
        assert json.loads(last)["error"]["type"].endswith("#deadline-exceeded")


def test_an_endless_call_of_one_message_ends_with_its_time(host: Callable[[str], Door], kitchen: Kitchen) -> None:
    answer = host("hasty").request("GET", "/v1/wait")
    assert answer.status == 504
    assert 0 < kitchen.times[0] <= 0.7
    until(kitchen.cancelled.is_set)
