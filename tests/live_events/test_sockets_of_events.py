"""A real client of WebSocket, the gateway, and a service of server-sent events."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import struct
import threading
from collections.abc import Callable, Coroutine
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest
from live_door import Door
from running import Gateway
from streaming import Broken, Playing, Send
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus


def run(coroutine: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(coroutine, 60))


async def rest(client: ClientConnection) -> list[str]:
    return [str(message) async for message in client]


async def closed(client: ClientConnection) -> tuple[int | None, str | None]:
    with pytest.raises(ConnectionClosed):
        await client.recv()
    return client.close_code, client.close_reason


def first(_: BaseHTTPRequestHandler, send: Send) -> None:
    """One event, and then silence."""
    send(b"data: first\n\n")
    threading.Event().wait(10)


def alive(_: BaseHTTPRequestHandler, send: Send) -> None:
    """Comments, until nobody takes them."""
    never = threading.Event()
    while not never.wait(0.01):
        send(b": still there\n\n")


def test_every_event_is_a_message_with_its_data(door: Door, streams: Playing) -> None:
    def play(_: BaseHTTPRequestHandler, send: Send) -> None:
        send(b"\xef\xbb\xbfdata: first\n\n: a comment\n\nevent: x\nid: 7\ndata: a\ndata: b\n\nid: 8\n\nda")
        send("ta: ä\r\n\r\nretry: 5\ndata\n\ndata: cut off".encode())

    async def test() -> None:
        async with connect(door.socket("/streams/plain/every")) as client:
            assert await rest(client) == ["first", "a\nb", "ä", ""]
            assert (client.close_code, client.close_reason) == (1000, "the stream has ended")

    streams.play = play
    run(test())
    asked = streams.asked[0]
    assert asked["accept"] == "text/event-stream"
    assert not [name for name in asked if name.startswith("sec-websocket") or name in ("upgrade", "connection")]
    line = door.line("/streams/plain/every")
    assert (line["status"], line["tunnel"]) == (101, "finished")


def test_an_envelope_holds_all_that_an_event_says(door: Door, streams: Playing) -> None:
    async def test() -> None:
        async with connect(door.socket("/streams/envelope/")) as client:
            first, second = [json.loads(message) for message in await rest(client)]
            assert first == {"event": "price", "id": "7", "retry": 250, "data": '{"a":\n1}'}
            assert second == {"event": "message", "data": "plain"}

    streams.play = lambda _, send: send(b'event: price\nid: 7\nretry: 250\ndata: {"a":\ndata: 1}\n\ndata: plain\n\n')
    run(test())


def test_a_client_of_event_streams_gets_the_stream_as_it_is(door: Door, streams: Playing) -> None:
    streams.play = lambda _, send: send(b"data: first\n\n")
    answer = door.gateway.request("GET", "/streams/plain/")
    assert (answer.status, answer.headers["content-type"], answer.body) == (
        200,
        "text/event-stream",
        b"data: first\n\n",
    )


def test_a_stream_that_breaks_off_closes_with_1014(door: Door, streams: Playing) -> None:
    def play(_: BaseHTTPRequestHandler, send: Send) -> None:
        send(b"data: first\n\n")
        raise Broken

    async def test() -> None:
        async with connect(door.socket("/streams/plain/broken")) as client:
            assert await client.recv() == "first"
            assert (await closed(client))[0] == 1014

    streams.play = play
    run(test())
    line = door.line("/streams/plain/broken")
    assert (line["tunnel"], line["error"]) == ("endpoint_gone", "bad-reply")


@pytest.mark.parametrize("end", [b"\n\n", b""], ids=["whole", "endless"])
def test_an_event_beyond_the_bound_closes_with_1014(door: Door, streams: Playing, end: bytes) -> None:
    def play(_: BaseHTTPRequestHandler, send: Send) -> None:
        send(b"data: " + b"x" * 1000 + b"\n\n")
        send(b"data: " + b"x" * 3000 + end)
        threading.Event().wait(10)

    async def test() -> None:
        async with connect(door.socket("/streams/bounded/")) as client:
            assert await client.recv() == "x" * 1000
            assert (await closed(client))[0] == 1014

    streams.play = play
    run(test())


def test_a_stream_that_ends_is_asked_for_again_behind_its_last_event(door: Door, streams: Playing) -> None:
    def play(request: BaseHTTPRequestHandler, send: Send) -> None:
        first = int(request.headers.get("last-event-id", "0")) + 1
        for number in range(first, min(first + 10, 96)):
            send(f"id: {number}\ndata: {number}\n\n".encode())
        if first % 20 == 1:
            raise Broken

    async def test() -> None:
        async with connect(door.socket("/streams/again/?after=5&x=1")) as client:
            assert await rest(client) == [str(number) for number in range(6, 96)]
            assert client.close_code == 1000

    streams.play = play
    run(test())
    wanted = ["5", *(str(number) for number in range(15, 100, 10)), "95", "95"]
    assert [asked.get("last-event-id") for asked in streams.asked] == wanted
    assert set(streams.paths) == {"/?x=1"}


def test_a_service_that_does_not_stream_is_the_answer_to_the_handshake(door: Door) -> None:
    async def test() -> None:
        with pytest.raises(InvalidStatus) as refused:
            await connect(door.socket("/gone"))
        assert refused.value.response.status_code == 502

    run(test())


def test_messages_of_the_client_are_refused_or_ignored(door: Door, streams: Playing) -> None:
    go = threading.Event()

    def play(_: BaseHTTPRequestHandler, send: Send) -> None:
        send(b"data: first\n\n")
        assert go.wait(30)
        send(b"data: second\n\n")

    async def refused() -> None:
        async with connect(door.socket("/streams/plain/")) as client:
            assert await client.recv() == "first"
            await client.send("hello")
            assert await closed(client) == (1008, "messages are not taken here")

    async def ignored() -> None:
        async with connect(door.socket("/streams/ignore/")) as client:
            await client.send(["in ", "pieces"])
            await client.send(b"binary")
            await asyncio.wait_for(await client.ping(), 30)
            go.set()
            assert await rest(client) == ["first", "second"]

    streams.play = play
    run(refused())
    run(ignored())


def raw(door: Door, path: str) -> socket.socket:
    host, _, port = door.address.rpartition(":")
    client = socket.create_connection((host, int(port)), timeout=30)
    client.sendall(
        b"GET %s HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: upgrade\r\n"
        b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n" % path.encode()
    )
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += client.recv(1)
    assert b" 101 " in head
    assert b"ICX+Yqv66kxgM0FcWaLWlFLwTAI=" in head
    return client


def close_code(client: socket.socket) -> int:
    """Of the close frame, after whatever else; and then the connection ends."""
    data = b""
    while piece := client.recv(65536):
        data += piece
    client.close()
    code: int = struct.unpack(">H", data[data.rindex(b"\x88") + 2 :][:2])[0]
    return code


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (b"\x81\x02hi", 1002),
        (b"\xc1\x80abcd", 1002),
        (b"\x83\x80abcd", 1002),
        (b"\x81\x81\0\0\0\0\xff", 1007),
        (b"\x82\xff\0\0\0\0\xff\xff\xff\xffabcd", 1009),
        (b"\x88\x82\0\0\0\0\x0f\xa1", 4001),
    ],
    ids=["unmasked", "extension", "unknown", "not UTF-8", "too large", "closes"],
)
def test_what_is_no_websocket_is_closed_with_the_standards_code(
    door: Door, streams: Playing, frame: bytes, code: int
) -> None:
    streams.play = alive
    client = raw(door, "/streams/plain/")
    client.sendall(frame)
    client.shutdown(socket.SHUT_WR)
    assert close_code(client) == code
    assert streams.gone.wait(30), "the service's stream goes on"


def test_a_version_that_is_not_spoken_is_told(door: Door) -> None:
    headers = {"upgrade": "websocket", "connection": "upgrade", "sec-websocket-version": "8", "sec-websocket-key": "a"}
    answer = door.gateway.request("GET", "/streams/plain/", headers=headers)
    assert (answer.status, answer.headers["sec-websocket-version"]) == (400, "13")


def test_a_client_that_answers_no_ping_is_gone(door: Door, streams: Playing) -> None:
    streams.play = alive
    assert close_code(raw(door, "/streams/watched/deaf")) == 1001
    assert streams.gone.wait(30)
    line = door.line("/streams/watched/deaf")
    assert (line["tunnel"], line["error"]) == ("client_gone", "client-gone")


def test_pings_keep_a_silent_stream_alive(door: Door, streams: Playing) -> None:
    go = threading.Event()

    def play(_: BaseHTTPRequestHandler, send: Send) -> None:
        assert go.wait(30)
        send(b"data: late\n\n")

    async def test() -> None:
        pings, enough = 0, asyncio.Event()
        async with connect(door.socket("/streams/watched/")) as client:
            received = client.protocol.receive_data

            def count(data: bytes) -> None:
                nonlocal pings
                pings += data.count(b"\x89\x00")
                if pings >= 4:
                    enough.set()
                received(data)

            client.protocol.receive_data = count  # type: ignore[method-assign]
            await enough.wait()
            go.set()
            assert await rest(client) == ["late"]

    streams.play = play
    run(test())


def test_a_slow_client_slows_the_service_down_and_loses_nothing(door: Door, streams: Playing) -> None:
    sent = 0

    def play(_: BaseHTTPRequestHandler, send: Send) -> None:
        nonlocal sent
        for number in range(1000):
            send(b"data: %d %s\n\n" % (number, b"x" * 32768))
            sent = number

    async def test() -> None:
        async with connect(door.socket("/streams/plain/"), max_queue=1) as client:
            assert str(await client.recv()).startswith("0 ")
            before = -1
            while before != sent:
                before = sent
                await asyncio.sleep(0.3)
            assert sent < 900, "somebody holds what nobody reads"
            received = [int(message.partition(" ")[0]) for message in await rest(client)]
            assert received == list(range(1, 1000))

    streams.play = play
    run(test())


def test_policies_decide_on_the_handshake(door: Door, streams: Playing) -> None:
    release = threading.Event()
    url = door.socket("/streams/one/")

    def play(_: BaseHTTPRequestHandler, send: Send) -> None:
        send(b"data: first\n\n")
        release.wait(30)

    async def refused(status: int, **headers: str) -> None:
        with pytest.raises(InvalidStatus) as error:
            await connect(url, additional_headers=headers)
        assert error.value.response.status_code == status

    async def test() -> None:
        key = {"x-api-key": "demo-key"}
        await refused(401)
        await refused(403, **key, Origin="https://elsewhere.example")
        async with connect(url, additional_headers=key, subprotocols=["other", "live"]) as client:
            assert client.subprotocol == "live"
            assert await client.recv() == "first"
            await refused(503, **key)
            release.set()
            assert await rest(client) == []

    streams.play = play
    run(test())


def test_a_stream_that_is_silent_for_too_long_ends(door: Door, streams: Playing) -> None:
    async def test() -> None:
        async with connect(door.socket("/streams/silent/")) as client:
            assert await client.recv() == "first"
            assert (await closed(client))[0] == 1013

    streams.play = first
    run(test())


def test_a_gateway_that_shuts_down_says_so(shared: Gateway, gateway: Callable[..., Gateway], streams: Playing) -> None:
    async def test(own: Gateway) -> None:
        async with connect(Door(own).socket("/streams/brief/")) as client:
            assert await client.recv() == "first"
            own.signal(signal.SIGTERM)
            assert (await closed(client))[0] == 1001

    streams.play = first
    run(test(gateway((shared.folder / "stagedoor.yaml").read_text())))
