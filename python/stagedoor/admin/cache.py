"""The cache over HTTP: what it holds, and purges."""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Protocol

from aiohttp import web

from stagedoor.admin.api import problem
from stagedoor.admin.body import read

WAYS = ("url", "prefix", "group", "all")


class Cached(Protocol):
    """What the gateway lets an operator see and do."""

    def purge(self, what: str, value: str, soft: bool) -> int: ...
    def cache_level(self) -> dict[str, int]: ...


def add(app: web.Application, gateway: Cached) -> None:
    """The routes under ``/cache``."""
    handlers = _Handlers(gateway)
    app.router.add_get("/cache", handlers.level)
    app.router.add_post("/cache/purge", handlers.purge)


class _Handlers:
    def __init__(self, gateway: Cached) -> None:
        self._gateway = gateway

    async def level(self, request: web.Request) -> web.Response:
        return web.json_response(self._gateway.cache_level())

    async def purge(self, request: web.Request) -> web.Response:
        """``{"url": ..}``, ``{"prefix": ..}``, ``{"group": ..}`` or ``{"all": true}``, and ``"soft": true``."""
        try:
            body = read(await request.text() or "null")
        except ValueError:
            return problem(HTTPStatus.BAD_REQUEST, "the body is not JSON")
        ways = [way for way in WAYS if isinstance(body, dict) and way in body]
        if len(ways) != 1 or set(body) - {ways[0], "soft"} or not isinstance(body.get("soft", False), bool):
            return problem(HTTPStatus.BAD_REQUEST, "the body is an object with one of url, prefix, group and all: true")
        [way] = ways
        value = body[way]
        if value is not True if way == "all" else not isinstance(value, str) or not 0 < len(value) <= 8192:
            return problem(HTTPStatus.BAD_REQUEST, "all is true; the others are texts of 1 to 8192 characters")
        try:
            # A purge by prefix looks at everything.
            hit = await asyncio.to_thread(
                self._gateway.purge, way, "" if way == "all" else value, body.get("soft", False)
            )
        except ValueError as error:
            return problem(HTTPStatus.BAD_REQUEST, str(error))
        return web.json_response({"purged": hit})
