"""A small HTTP/1.1 client over raw sockets that keeps its connection, for load and for what must be counted exactly."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Self

Json = Any


async def eventually(condition: Callable[[], Awaitable[bool]], seconds: float = 60) -> None:
    """Returns once the condition holds; raises TimeoutError after ``seconds``."""
    async with asyncio.timeout(seconds):
        while True:
            if await condition():
                return
            await asyncio.sleep(0.005)


class Closed(Exception):
    """The connection ended before any byte of an answer: on a connection used before, the request may be repeated."""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Json:
        return json.loads(self.body)


@dataclass(slots=True)
class Client:
    address: str
    used: bool = False
    _streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = field(default=None, init=False)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
        self._streams, self.used = None, False

    async def send(self, method: str, path: str, body: Json = None, **headers: str) -> None:
        """Raises OSError where no connection can be made."""
        if self._streams is None:
            host, _, port = self.address.rpartition(":")
            self._streams = await asyncio.open_connection(host, int(port))
        content = b"" if body is None else json.dumps(body).encode()
        fields = [f"host: {self.address}", *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items())]
        if content:
            fields += ["content-type: application/json", f"content-length: {len(content)}"]
        self._streams[1].write(
            f"{method} {path} HTTP/1.1\r\n".encode() + "\r\n".join(fields).encode() + b"\r\n\r\n" + content
        )

    async def receive(self) -> Answer:
        """Raises Closed, or another error for an answer that breaks off."""
        assert self._streams is not None
        reader = self._streams[0]
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError as broken:
            self.close()
            if broken.partial:
                raise
            raise Closed from None
        except ConnectionError:
            self.close()
            raise Closed from None
        self.used = True
        first, *rest = head.decode("latin-1").rstrip().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in rest)}
        if headers.get("transfer-encoding") == "chunked":
            content = b""
            while size := int(await reader.readline(), 16):
                content += (await reader.readexactly(size + 2))[:-2]
            await reader.readline()
        else:
            content = await reader.readexactly(int(headers.get("content-length", 0)))
        if headers.get("connection", "").lower() == "close":
            self.close()
        return Answer(int(first.split(" ")[1]), headers, content)

    async def ask(self, method: str, path: str, body: Json = None, **headers: str) -> Answer:
        await self.send(method, path, body, **headers)
        return await self.receive()
