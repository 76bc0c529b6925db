"""A real HTTP server behind the gateway, that tells what it got and sends what it is asked for."""

from __future__ import annotations

import asyncio
import hashlib
import threading
from typing import Self

from aiohttp import web

PIECE = bytes(range(256)) * 256


def content(size: int) -> bytes:
    """What ``/bytes/SIZE`` sends."""
    return (PIECE * (size // len(PIECE) + 1))[:size]


def lines(count: int) -> str:
    """What ``/page/COUNT`` sends."""
    return "".join(f"<p>line {number} of café</p>\n" for number in range(count))


class Echo:
    """``/echo`` describes the request: method, target, fields, length and SHA-256 of its content · ``/bytes/N`` sends N
    bytes with their length · ``/stream/N`` sends N pieces without one · ``/status/N`` answers N · ``/both`` sends back
    what comes while it comes · ``/cookie`` sets one ·
    ``/page/N`` is a page of N lines."""

    def __init__(self) -> None:
        self.url = ""
        self.connections = 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        port = asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(30)
        self.url = f"http://127.0.0.1:{port}"
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._runner.cleanup(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)

    async def _start(self) -> int:
        app = web.Application(client_max_size=1 << 30)
        app.router.add_route("*", "/echo", echo)
        app.router.add_get("/bytes/{size}", sized)
        app.router.add_get("/stream/{count}", stream)
        app.router.add_route("*", "/status/{status}", status)
        app.router.add_post("/both", both)
        app.router.add_get("/cookie", cookie)
        app.router.add_get("/page/{count}", page)
        self._runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        # Many streams become many connections at once, and the kernel must hold them until they are accepted.
        site = web.TCPSite(self._runner, "127.0.0.1", 0, backlog=1024)
        await site.start()
        return site._server.sockets[0].getsockname()[1]


async def echo(request: web.Request) -> web.Response:
    digest, length = hashlib.sha256(), 0
    async for piece in request.content.iter_chunked(1 << 16):
        digest.update(piece)
        length += len(piece)
    described = {
        "method": request.method,
        "target": request.raw_path,
        "fields": {name.lower(): value for name, value in request.headers.items()},
        "length": length,
        "sha256": digest.hexdigest(),
    }
    return web.json_response(described)


async def sized(request: web.Request) -> web.Response:
    return web.Response(body=content(int(request.match_info["size"])))


async def stream(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    for number in range(int(request.match_info["count"])):
        await response.write(b"%d\n" % number)
        await asyncio.sleep(0)
    await response.write_eof()
    return response


async def status(request: web.Request) -> web.Response:
    await request.read()
    return web.Response(status=int(request.match_info["status"]), headers={"Location": "/echo"})


async def both(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    async for piece in request.content.iter_any():
        await response.write(piece.upper())
    await response.write_eof()
    return response


async def page(request: web.Request) -> web.Response:
    text = lines(int(request.match_info["count"]))
    return web.Response(text=text, content_type="text/html", headers={"ETag": '"v1"'})


async def cookie(request: web.Request) -> web.Response:
    response = web.json_response({"cookies": dict(request.cookies)})
    response.set_cookie("basket", "mug")
    response.set_cookie("theme", "dark")
    return response
