"""CloudEvents over HTTP: what comes in here is given to whoever listens for it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Protocol

from aiohttp import web

from stagedoor.admin.api import problem


class Events(Protocol):
    async def receive(self, headers: Sequence[tuple[str, str]], body: bytes) -> int:
        """How many new ones were stored. ValueError says what is wrong with them, ``Unavailable`` why they cannot
        be kept."""


def add(app: web.Application, events: Callable[[], Events | None]) -> None:
    """``POST /events``: binary, structured or a batch; 202 once they are stored."""

    async def receive(request: web.Request) -> web.Response:
        found = events()
        if found is None:
            raise web.HTTPNotFound(reason="no workflows are configured")
        try:
            new = await found.receive(list(request.headers.items()), await request.read())
        except ValueError as error:
            return problem(HTTPStatus.BAD_REQUEST, str(error))
        return web.json_response({"stored": new}, status=202)

    app.router.add_post("/events", receive)
