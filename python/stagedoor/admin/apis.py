"""Versions of APIs over HTTP: their state, and who uses them."""

from __future__ import annotations

from typing import Any, Protocol

from aiohttp import web

Json = Any


class Versioned(Protocol):
    """What the gateway lets an operator see."""

    def versions(self) -> Json: ...


def add(app: web.Application, gateway: Versioned) -> None:
    """The route ``/apis``."""

    async def apis(request: web.Request) -> web.Response:
        return web.json_response({"apis": gateway.versions()})

    app.router.add_get("/apis", apis)
