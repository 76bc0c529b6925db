"""A real WebSocket client and a real WebSocket server, and the gateway between them."""

from __future__ import annotations

import asyncio
import json
import signal
from collections.abc import Callable, Coroutine
from typing import Any

import pytest
from echoing import Echo
from running import Gateway, until
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

Test = Callable[[ClientConnection], Coroutine[Any, Any, None]]


def url(door: Gateway, query: str = "key=demo-key") -> str:
    assert door.addresses, door.log
    return f"ws://{door.addresses['listeners']['public']}/chat/hall?{query}"


def run(door: Gateway, test: Test) -> None:
    async def connected() -> None:
        async with connect(url(door), max_size=None) as client:
            await test(client)

    asyncio.run(asyncio.wait_for(connected(), 100))


def test_ten_thousand_messages_come_back_in_order(echo_door: Gateway) -> None:
    async def test(client: ClientConnection) -> None:
        async def send() -> None:
            for number in range(10_000):
                await client.send(f"message {number}")

        sending = asyncio.create_task(send())
        for number in range(10_000):
            assert await client.recv() == f"message {number}"
        await sending

    run(echo_door, test)


def test_messages_in_fragments_and_large_ones(echo_door: Gateway) -> None:
    async def test(client: ClientConnection) -> None:
        await client.send(["in ", "three ", "pieces"])
        assert await client.recv() == "in three pieces"
        large = bytes(range(256)) * (8 * 4096)
        sending = asyncio.create_task(client.send(large))
        assert await client.recv() == large
        await sending
        await client.send([large[:1_000_000], b"", large[1_000_000:]])
        assert await client.recv() == large

    run(echo_door, test)


def test_pings_are_answered_by_the_other_side(echo_door: Gateway) -> None:
    async def test(client: ClientConnection) -> None:
        for _ in range(3):
            await asyncio.wait_for(await client.ping(), 30)

    run(echo_door, test)


def test_the_clients_close_code_reaches_the_service(echo_door: Gateway, echo: Echo) -> None:
    async def test(client: ClientConnection) -> None:
        await client.close(4001, "had enough")

    run(echo_door, test)
    assert until(lambda: echo.closed) == [(4001, "had enough")]


def test_the_services_close_code_reaches_the_client(echo_door: Gateway) -> None:
    async def test(client: ClientConnection) -> None:
        await client.send("close 4002")
        with pytest.raises(ConnectionClosed) as closed:
            await client.recv()
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4002, "as you wish")

    run(echo_door, test)


@pytest.mark.parametrize(("drain", "policy"), [("20s", "100ms"), ("2s", "1h")], ids=["policy", "shutdown"])
def test_a_shutdown_ends_in_1001_on_both_sides(
    echo: Echo, open_door: Callable[..., Gateway], drain: str, policy: str
) -> None:
    door = open_door(("idle: 5m", f"idle: 5m, drain: {policy}"), drain=drain)

    async def test(client: ClientConnection) -> None:
        await client.send("hello")
        assert await client.recv() == "hello"
        door.signal(signal.SIGTERM)
        with pytest.raises(ConnectionClosed) as closed:
            await client.recv()
        assert closed.value.rcvd is not None
        assert (closed.value.rcvd.code, closed.value.rcvd_then_sent) == (1001, True)

    run(door, test)
    assert until(lambda: echo.closed) == [(1001, "")]
    assert door.process.wait(60) == 0, "nothing was cut off"


def test_a_handshake_without_the_key_is_401_and_the_service_hears_nothing(echo_door: Gateway, echo: Echo) -> None:
    async def refused() -> None:
        with pytest.raises(InvalidStatus) as error:
            await connect(url(echo_door, "key=wrong"))
        assert error.value.response.status_code == 401

    asyncio.run(refused())
    assert echo.handshakes == 0


def test_a_tunnel_is_one_line_in_the_access_log(echo_door: Gateway) -> None:
    async def test(client: ClientConnection) -> None:
        await client.send("hello")
        assert await client.recv() == "hello"

    run(echo_door, test)
    log = echo_door.folder / "access.log"
    text = until(lambda: log.exists() and log.read_text())
    [line] = [json.loads(line) for line in str(text).splitlines()]
    assert (line["status"], line["tunnel"], line["consumer"]) == (101, "finished", "demo")
    assert line["bytes_in"] > len("hello") < line["bytes_out"]


def test_the_example_two_in_a_room_hear_each_other(chat_door: Gateway) -> None:
    async def talk() -> None:
        async with connect(url(chat_door)) as one, connect(url(chat_door)) as two:
            await one.send("hello")
            assert await one.recv() == "demo: hello"
            assert await two.recv() == "demo: hello"

    asyncio.run(asyncio.wait_for(talk(), 60))
