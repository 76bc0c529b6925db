"""A real client of server-sent events, the gateway, and a real WebSocket service."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection, HTTPResponse, IncompleteRead

import httpx
import pytest
from httpx_sse import ServerSentEvent, connect_sse
from live_door import Door
from running import until
from sockets import Socket
from websockets.asyncio.server import ServerConnection


@contextmanager
def listening(door: Door, path: str, **headers: str) -> Iterator[Iterator[ServerSentEvent]]:
    url = f"http://{door.address}{path}"
    with httpx.Client(timeout=30) as client, connect_sse(client, "GET", url, headers=headers) as source:
        assert source.response.status_code == 200
        assert source.response.headers["cache-control"] == "no-store"
        yield source.iter_sse()


def plain(door: Door, path: str) -> HTTPResponse:
    connection = HTTPConnection(door.address, timeout=30)
    connection.request("GET", path)
    return connection.getresponse()


async def first(connection: ServerConnection) -> None:
    await connection.send("first")


def test_every_text_message_is_an_event(door: Door, sockets: Socket) -> None:
    async def play(connection: ServerConnection) -> None:
        await connection.send("first")
        await connection.send("a\nb\r\n\r\nid: no")
        await connection.send(["in ", "three ", "pieces"])
        await connection.send("")
        await connection.send("ä" * 10_000)
        await connection.close()

    sockets.play = play
    with listening(door, "/sockets/base64/") as events:
        got = list(events)
    assert [event.data for event in got] == ["first", "a\nb\n\nid: no", "in three pieces", "", "ä" * 10_000]
    assert {(event.event, event.id) for event in got} == {("message", "")}
    assert until(lambda: sockets.closed) == [1000]
    assert "Sec-WebSocket-Extensions" not in sockets.requests[0].headers
    assert "Sec-WebSocket-Protocol" not in sockets.requests[0].headers


def test_an_envelope_says_all_that_an_event_has(door: Door, sockets: Socket) -> None:
    async def play(connection: ServerConnection) -> None:
        await connection.send('{"event": "price", "id": "7", "retry": 250, "data": "a\\nb"}')
        await connection.send('{"data": {"sku": "mug"}}')
        await connection.send("no event")

    sockets.play = play
    with listening(door, "/sockets/envelope/all") as events:
        first, second = next(events), next(events)
        assert (first.event, first.id, first.retry, first.data) == ("price", "7", 250, "a\nb")
        assert (second.event, second.data) == ("message", '{"sku":"mug"}')
        with pytest.raises(httpx.RemoteProtocolError):
            next(events)
    assert until(lambda: sockets.closed) == [1003]
    assert door.line("/sockets/envelope/all")["error"] == "bad-reply"


def test_binary_messages_are_base64_or_the_end(door: Door, sockets: Socket) -> None:
    async def play(connection: ServerConnection) -> None:
        await connection.send(b"\x00\xff\x10")
        await connection.close()

    sockets.play = play
    with listening(door, "/sockets/base64/") as events:
        assert [event.data for event in events] == ["AP8Q"]
    with pytest.raises(IncompleteRead):
        plain(door, "/sockets/plain/").read()


@pytest.mark.parametrize(("code", "whole"), [(1000, True), (1001, True), (1011, False), (4001, False)])
def test_how_the_service_closes_is_how_the_stream_ends(door: Door, sockets: Socket, code: int, whole: bool) -> None:
    async def play(connection: ServerConnection) -> None:
        await connection.send("last")
        await connection.close(code, "why")

    sockets.play = play
    response = plain(door, "/sockets/base64/")
    if whole:
        assert response.read() == b"data: last\n\n"
    else:
        with pytest.raises(IncompleteRead):
            response.read()


def test_a_service_that_vanishes_breaks_the_stream_off(door: Door, sockets: Socket) -> None:
    async def play(connection: ServerConnection) -> None:
        await connection.send("last")
        connection.transport.abort()

    sockets.play = play
    with pytest.raises(IncompleteRead):
        plain(door, "/sockets/plain/").read()


def test_a_stream_outlives_the_clusters_time_and_pings_are_answered(door: Door, sockets: Socket) -> None:
    async def play(connection: ServerConnection) -> None:
        for _ in range(25):
            await asyncio.wait_for(await connection.ping(), 10)
            await asyncio.sleep(0.1)
        await connection.send("late")
        await connection.close()

    sockets.play = play
    lines = plain(door, "/sockets/plain/").read().split(b"\n\n")
    assert lines[-2:] == [b"data: late", b""]
    assert len(lines) > 4
    assert set(lines[:-2]) == {b":"}


def test_a_client_that_goes_closes_the_services_socket(door: Door, sockets: Socket) -> None:
    sockets.play = first
    with listening(door, "/sockets/plain/goes") as events:
        assert next(events).data == "first"
        assert not sockets.closed
    assert until(lambda: sockets.closed) == [1001]
    assert door.line("/sockets/plain/goes")["error"] == "client-gone"


def test_a_service_that_is_silent_for_too_long_ends_the_stream(door: Door, sockets: Socket) -> None:
    sockets.play = first
    with pytest.raises(IncompleteRead):
        plain(door, "/sockets/silent/").read()
    assert until(lambda: sockets.closed) == [1001]


def test_the_last_events_id_and_a_subprotocol_are_passed_on(door: Door, sockets: Socket) -> None:
    sockets.play = first
    with listening(door, "/sockets/named/scores?x=1", **{"last-event-id": "7&8"}) as events:
        assert next(events).data == "first"
    request = sockets.requests[0]
    assert request.path == "/scores?x=1&after%20id=7%268"
    assert request.headers["Last-Event-ID"] == "7&8"
    assert request.headers["Sec-WebSocket-Protocol"] == "live"


def test_messages_wait_for_a_client_that_reads_slowly(door: Door, sockets: Socket) -> None:
    sent = 0
    never = threading.Event()

    async def play(connection: ServerConnection) -> None:
        nonlocal sent
        for number in range(1000):
            await connection.send(f"{number} {'x' * 32768}")
            sent = number
        await connection.close()

    sockets.play = play
    with listening(door, "/sockets/base64/") as events:
        assert next(events).data.startswith("0 ")
        before = -1
        while before != sent:
            before = sent
            never.wait(0.3)
        assert sent < 900, "somebody holds what nobody reads"
        assert [int(event.data.partition(" ")[0]) for event in events] == list(range(1, 1000))


def test_what_opens_no_websocket_is_told(door: Door) -> None:
    ask = door.gateway.request
    assert ask("GET", "/sockets/plain/refuse/403").status == 403
    assert ask("GET", "/sockets/plain/refuse/200").status == 502
    answer = ask("POST", "/sockets/plain/")
    assert (answer.status, answer.headers["allow"]) == (405, "GET")
