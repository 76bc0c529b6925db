"""httpx and aiohttp."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import httpx
import pytest
from conftest import Way
from echo import content

MIB = 1 << 20
WHOLE = content(3 * MIB)
DIGEST = hashlib.sha256(WHOLE).hexdigest()
# aiohttp's client knows nothing newer.
ONLY_HTTP_1 = pytest.mark.parametrize("way", ["http/1.1", "https/1.1"], indirect=True)


@pytest.fixture
def options(door: str, way: Way, trust: ssl.SSLContext) -> dict[str, Any]:
    """What makes httpx come in the test's way."""
    http2 = way.version == "2"
    return {"base_url": door, "http1": not http2, "http2": http2, "verify": trust, "timeout": 60}


def pieces() -> Iterator[bytes]:
    for start in range(0, len(WHOLE), 50_000):
        yield WHOLE[start : start + 50_000]


async def later_pieces() -> AsyncIterator[bytes]:
    for piece in pieces():
        await asyncio.sleep(0)
        yield piece


def test_httpx_asks_again_and_again_on_one_connection(options: dict[str, Any]) -> None:
    with httpx.Client(**options) as client:
        for number in range(100):
            assert client.get(f"/bytes/{number}").content == content(number)
        seen = client.get("/echo", params={"q": "a b"}, headers=[("x-a", "1"), ("x-a", "2")]).json()
    assert seen["target"] == "/echo?q=a+b"


def test_httpx_streams_up_and_down(options: dict[str, Any]) -> None:
    with httpx.Client(**options) as client:
        seen = client.post("/echo", content=pieces()).json()
        assert (seen["sha256"], seen["fields"]["transfer-encoding"]) == (DIGEST, "chunked")
        seen = client.put("/echo", content=WHOLE).json()
        assert (seen["sha256"], seen["fields"]["content-length"]) == (DIGEST, str(len(WHOLE)))
        with client.stream("GET", f"/bytes/{3 * MIB}") as response:
            assert b"".join(response.iter_raw()) == WHOLE
        with client.stream("GET", "/stream/500") as response:
            assert list(response.iter_lines()) == [str(number) for number in range(500)]


def test_httpx_may_leave_in_the_middle_of_an_answer(options: dict[str, Any]) -> None:
    with httpx.Client(**options) as client:
        for _ in range(5):
            with client.stream("GET", f"/bytes/{3 * MIB}") as response:
                next(response.iter_raw(1000))
            assert client.get("/bytes/5").content == content(5)


def test_httpx_follows_redirects_and_keeps_cookies(options: dict[str, Any]) -> None:
    with httpx.Client(**options, follow_redirects=True) as client:
        assert client.get("/status/302").json()["target"] == "/echo"
        client.get("/cookie")
        assert client.get("/cookie").json()["cookies"] == {"basket": "mug", "theme": "dark"}


def test_two_hundred_httpx_calls_at_once(options: dict[str, Any]) -> None:
    async def calls() -> list[bytes]:
        async with httpx.AsyncClient(**options) as client:
            answers = await asyncio.gather(*(client.get(f"/bytes/{number}") for number in range(200)))
            return [answer.content for answer in answers]

    assert asyncio.run(calls()) == [content(number) for number in range(200)]


@ONLY_HTTP_1
def test_aiohttp_streams_up_and_down_and_waits_for_100_continue(door: str, trust: ssl.SSLContext) -> None:
    async def talk() -> None:
        async with aiohttp.ClientSession(door, connector=aiohttp.TCPConnector(ssl=trust)) as client:
            for expect100 in (False, True):
                async with client.post("/echo", data=later_pieces(), expect100=expect100) as answer:
                    assert (await answer.json())["sha256"] == DIGEST
                async with client.post("/echo", data=WHOLE, expect100=expect100) as answer:
                    assert (await answer.json())["sha256"] == DIGEST
            async with client.get("/stream/500") as answer:
                assert [int(line) async for line in answer.content] == list(range(500))

    asyncio.run(talk())


@ONLY_HTTP_1
def test_aiohttp_reads_the_answer_while_it_still_sends(door: str, trust: ssl.SSLContext) -> None:
    async def talk() -> list[bytes]:
        turn: asyncio.Queue[bytes | None] = asyncio.Queue()

        async def spoken() -> AsyncIterator[bytes]:
            while (word := await turn.get()) is not None:
                yield word

        got = []
        async with aiohttp.ClientSession(door, connector=aiohttp.TCPConnector(ssl=trust)) as client:
            await turn.put(b"first")
            async with client.post("/both", data=spoken()) as answer:
                got.append(await answer.content.readexactly(5))
                await turn.put(b"second")
                got.append(await answer.content.readexactly(6))
                await turn.put(None)
                got.append(await answer.content.read())
        return got

    assert asyncio.run(talk()) == [b"FIRST", b"SECOND", b""]


@ONLY_HTTP_1
def test_two_hundred_aiohttp_calls_at_once(door: str, trust: ssl.SSLContext) -> None:
    async def calls() -> list[bytes]:
        async with aiohttp.ClientSession(door, connector=aiohttp.TCPConnector(ssl=trust)) as client:

            async def call(number: int) -> bytes:
                async with client.get(f"/bytes/{number}") as answer:
                    return await answer.read()

            return await asyncio.gather(*(call(number) for number in range(200)))

    assert asyncio.run(calls()) == [content(number) for number in range(200)]
