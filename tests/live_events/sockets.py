"""A WebSocket service that plays what a test has written."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from echoing import Running
from websockets.asyncio.server import ServerConnection, serve

Play = Callable[[ServerConnection], Awaitable[None]]


async def nothing(connection: ServerConnection) -> None:
    """Waits for the other side to close."""


class Socket:
    """Does what ``play`` does and then waits for the connection's end; ``/refuse/STATUS`` is answered with that."""

    def __init__(self) -> None:
        self.forget()
        self.running = Running(
            lambda: serve(
                self._handle,
                "127.0.0.1",
                0,
                ping_interval=None,
                process_request=self._look,
                select_subprotocol=lambda connection, offered: offered[0] if offered else None,
            )
        )
        self.port = self.running.port

    def forget(self) -> None:
        self.play: Play = nothing
        self.requests: list[Any] = []
        self.closed: list[int | None] = []

    def stop(self) -> None:
        self.running.stop()

    async def _handle(self, connection: ServerConnection) -> None:
        closed = self.closed
        self.requests.append(connection.request)
        await self.play(connection)
        await connection.wait_closed()
        closed.append(connection.close_code)

    def _look(self, connection: ServerConnection, request: Any) -> Any:
        _, _, status = request.path.partition("/refuse/")
        return connection.respond(int(status), "no") if status else None
