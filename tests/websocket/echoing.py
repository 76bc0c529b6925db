"""A WebSocket service for tests, on a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress

from websockets.asyncio.server import Server, ServerConnection
from websockets.exceptions import ConnectionClosed


class Running:
    """A WebSocket server on a thread of its own."""

    def __init__(self, start: Callable[[], Awaitable[Server]]) -> None:
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)
        self.thread.start()

        async def begin() -> Server:
            return await start()

        self.server = asyncio.run_coroutine_threadsafe(begin(), self.loop).result(30)
        self.port: int = self.server.sockets[0].getsockname()[1]

    def stop(self) -> None:
        async def end() -> None:
            self.server.close()
            await self.server.wait_closed()

        asyncio.run_coroutine_threadsafe(end(), self.loop).result(30)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()


class Echo:
    """Sends back what comes, in the pieces that it comes in; ``close CODE`` makes it close."""

    def __init__(self) -> None:
        self.closed: list[tuple[int, str]] = []
        self.handshakes = 0

    async def __call__(self, connection: ServerConnection) -> None:
        self.handshakes += 1
        with suppress(ConnectionClosed):
            async for message in connection:
                if isinstance(message, str) and message.startswith("close "):
                    await connection.close(int(message.removeprefix("close ")), "as you wish")
                else:
                    await connection.send(message)
        self.closed.append((connection.close_code or 0, connection.close_reason or ""))
