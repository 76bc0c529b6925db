"""Consumers, their credentials and plans over HTTP: listed, created, changed and revoked, and the audit log of that."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Protocol

from aiohttp import web

from stagedoor.admin.api import problem
from stagedoor.admin.body import read

Json = Any
PAGE, MAX_PAGE = 100, 1000
WHO = web.RequestKey("who", str)
"""Who asks: the name of the token."""


class Registry(Protocol):
    """What an operator sees and does. What cannot be done is an error with a ``status`` of HTTP."""

    def consumers(self, after: str | None, limit: int) -> Json: ...
    def consumer(self, name: str) -> Json: ...
    def create_consumer(self, who: str, body: Json) -> Json: ...
    def change_consumer(self, who: str, name: str, body: Json) -> Json: ...
    def delete_consumer(self, who: str, name: str) -> None: ...
    def create_key(self, who: str, name: str, body: Json) -> Json: ...
    def rotate_key(self, who: str, name: str, id: str, body: Json) -> Json: ...
    def revoke_key(self, who: str, name: str, id: str) -> None: ...
    def credentials(self, name: str) -> Json: ...
    def create_credential(self, who: str, name: str, body: Json) -> Json: ...
    def rotate_credential(self, who: str, name: str, id: str, body: Json) -> Json: ...
    def revoke_credential(self, who: str, name: str, id: str) -> None: ...
    def plans(self) -> Json: ...
    def put_plan(self, who: str, body: Json) -> Json: ...
    def delete_plan(self, who: str, name: str) -> None: ...
    def audit(self, before: int | None, limit: int) -> Json: ...


def add(app: web.Application, registry: Registry, refused: type[Exception]) -> None:
    """The routes. ``refused`` is what the registry raises."""
    handlers = _Handlers(registry, refused)
    for method, path, handler in (
        ("GET", "/consumers", handlers.consumers),
        ("POST", "/consumers", handlers.create_consumer),
        ("GET", "/consumers/{name}", handlers.consumer),
        ("PATCH", "/consumers/{name}", handlers.change_consumer),
        ("DELETE", "/consumers/{name}", handlers.delete_consumer),
        ("POST", "/consumers/{name}/keys", handlers.create_key),
        # A key's id holds a slash: the consumer's name is its first part.
        ("POST", "/consumers/{name}/keys/{id:.+}/rotate", handlers.rotate_key),
        ("DELETE", "/consumers/{name}/keys/{id:.+}", handlers.revoke_key),
        ("GET", "/consumers/{name}/credentials", handlers.credentials),
        ("POST", "/consumers/{name}/credentials", handlers.create_credential),
        ("POST", "/consumers/{name}/credentials/{id:.+}/rotate", handlers.rotate_credential),
        ("DELETE", "/consumers/{name}/credentials/{id:.+}", handlers.revoke_credential),
        ("GET", "/plans", handlers.plans),
        ("PUT", "/plans/{name}", handlers.put_plan),
        ("DELETE", "/plans/{name}", handlers.delete_plan),
        ("GET", "/audit", handlers.audit),
    ):
        app.router.add_route(method, path, handler)


class _Handlers:
    def __init__(self, registry: Registry, refused: type[Exception]) -> None:
        self._registry, self._refused = registry, refused

    async def _do(self, status: HTTPStatus, what: Callable[..., Json], *arguments: Any) -> web.Response:
        """In a thread: a change waits for the disk."""
        try:
            answer = await asyncio.to_thread(what, *arguments)
        except self._refused as error:
            return problem(HTTPStatus(getattr(error, "status", 400)), str(error))
        if answer is None:
            return web.Response(status=HTTPStatus.NO_CONTENT)
        # Keys and passwords are among these answers: nobody keeps them on the way.
        return web.json_response(answer, status=status, headers={"Cache-Control": "no-store"})

    async def consumers(self, request: web.Request) -> web.Response:
        limit = _limit(request, {"after", "limit"})
        return await self._do(HTTPStatus.OK, self._registry.consumers, request.query.get("after"), limit)

    async def consumer(self, request: web.Request) -> web.Response:
        return await self._do(HTTPStatus.OK, self._registry.consumer, request.match_info["name"])

    async def create_consumer(self, request: web.Request) -> web.Response:
        body = await _body(request)
        return await self._do(HTTPStatus.CREATED, self._registry.create_consumer, request[WHO], body)

    async def change_consumer(self, request: web.Request) -> web.Response:
        body, name = await _body(request), request.match_info["name"]
        return await self._do(HTTPStatus.OK, self._registry.change_consumer, request[WHO], name, body)

    async def delete_consumer(self, request: web.Request) -> web.Response:
        return await self._do(HTTPStatus.OK, self._registry.delete_consumer, request[WHO], request.match_info["name"])

    async def create_key(self, request: web.Request) -> web.Response:
        body, name = await _body(request), request.match_info["name"]
        return await self._do(HTTPStatus.CREATED, self._registry.create_key, request[WHO], name, body)

    async def rotate_key(self, request: web.Request) -> web.Response:
        body, name, id = await _body(request), request.match_info["name"], request.match_info["id"]
        return await self._do(HTTPStatus.CREATED, self._registry.rotate_key, request[WHO], name, id, body)

    async def revoke_key(self, request: web.Request) -> web.Response:
        name, id = request.match_info["name"], request.match_info["id"]
        return await self._do(HTTPStatus.OK, self._registry.revoke_key, request[WHO], name, id)

    async def credentials(self, request: web.Request) -> web.Response:
        return await self._do(HTTPStatus.OK, self._registry.credentials, request.match_info["name"])

    async def create_credential(self, request: web.Request) -> web.Response:
        body, name = await _body(request), request.match_info["name"]
        return await self._do(HTTPStatus.CREATED, self._registry.create_credential, request[WHO], name, body)

    async def rotate_credential(self, request: web.Request) -> web.Response:
        body, name, id = await _body(request), request.match_info["name"], request.match_info["id"]
        return await self._do(HTTPStatus.CREATED, self._registry.rotate_credential, request[WHO], name, id, body)

    async def revoke_credential(self, request: web.Request) -> web.Response:
        name, id = request.match_info["name"], request.match_info["id"]
        return await self._do(HTTPStatus.OK, self._registry.revoke_credential, request[WHO], name, id)

    async def plans(self, request: web.Request) -> web.Response:
        return await self._do(HTTPStatus.OK, self._registry.plans)

    async def put_plan(self, request: web.Request) -> web.Response:
        body = await _body(request)
        if not isinstance(body, dict) or "name" in body:
            return problem(HTTPStatus.BAD_REQUEST, "the body is an object; the name is in the path")
        named = body | {"name": request.match_info["name"]}
        return await self._do(HTTPStatus.OK, self._registry.put_plan, request[WHO], named)

    async def delete_plan(self, request: web.Request) -> web.Response:
        return await self._do(HTTPStatus.OK, self._registry.delete_plan, request[WHO], request.match_info["name"])

    async def audit(self, request: web.Request) -> web.Response:
        limit, before = _limit(request, {"before", "limit"}), request.query.get("before")
        if before is not None and not (before.isascii() and before.isdecimal() and len(before) < 16):
            return problem(HTTPStatus.BAD_REQUEST, "before is the id of a line")
        return await self._do(HTTPStatus.OK, self._registry.audit, None if before is None else int(before), limit)


def _limit(request: web.Request, known: set[str]) -> int:
    if set(request.query) - known:
        raise web.HTTPBadRequest(reason=f"known parameters are {' and '.join(sorted(known))}")
    limit = request.query.get("limit", str(PAGE))
    if not (limit.isascii() and limit.isdecimal() and 1 <= int(limit[:9]) <= MAX_PAGE):
        raise web.HTTPBadRequest(reason=f"limit is a number from 1 to {MAX_PAGE}")
    return int(limit)


async def _body(request: web.Request) -> Json:
    """The body as JSON; an empty one is an empty object."""
    try:
        return read(await request.text() or "{}")
    except ValueError:
        raise web.HTTPBadRequest(reason="the body is not JSON") from None
