"""Executions over HTTP: listed, shown, cancelled, and their incidents resolved."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from typing import Any, Protocol

from aiohttp import web

from stagedoor.admin import search
from stagedoor.admin.body import read
from stagedoor.errors import Conflict

Json = Any
ACTIONS = ("retry", "skip", "done", "edit")


class Executions(Protocol):
    """What the engine lets an operator see and do."""

    async def page(self, *, limit: int, before: str | None = None, **conditions: Any) -> Json:
        """``conditions`` are those of ``admin.search``. ValueError: ``before`` is no end of a page."""

    async def show(self, id: str) -> Json | None: ...
    async def history(self, id: str) -> Json | None: ...
    async def cancel(self, id: str, reason: str, by: str) -> bool:
        """False: there is no such execution; ``Conflict``: it cannot be, and why. So with all that follow."""

    async def suspend(self, id: str, reason: str, by: str) -> bool: ...
    async def resume(self, id: str, reason: str, by: str) -> bool: ...
    async def migrate(self, id: str, version: str, reason: str, by: str, *, dry_run: bool) -> Json | None: ...
    async def restart(self, id: str, *, dry_run: bool, **asked: Any) -> Json | None:
        """``reason by task edited version take_undos``."""

    async def resolve(self, id: str, incident: str, action: Any, by: str, reason: str, arguments: Json) -> bool: ...


def problem(status: HTTPStatus, detail: str) -> web.Response:
    """RFC 9457."""
    body = {"type": "about:blank", "title": status.phrase, "status": status.value, "detail": detail}
    return web.Response(body=json.dumps(body).encode(), status=status, content_type="application/problem+json")


def add(app: web.Application, executions: Callable[[], Executions | None]) -> None:
    """The routes under ``/executions``."""
    handlers = _Handlers(executions)
    app.router.add_get("/executions", handlers.page)
    app.router.add_get("/executions/{id}", handlers.show)
    app.router.add_get("/executions/{id}/history", handlers.history)
    app.router.add_post("/executions/{id}/cancel", handlers.cancel)
    app.router.add_post("/executions/{id}/suspend", handlers.suspend)
    app.router.add_post("/executions/{id}/resume", handlers.resume)
    app.router.add_post("/executions/{id}/migrate", handlers.migrate)
    app.router.add_post("/executions/{id}/restart", handlers.restart)
    # An incident's id holds slashes, since it is made of the task's reference.
    app.router.add_post("/executions/{id}/incidents/{incident:.+}", handlers.resolve)


class _Handlers:
    def __init__(self, executions: Callable[[], Executions | None]) -> None:
        self._find = executions

    def _executions(self) -> Executions:
        found = self._find()
        if found is None:
            raise web.HTTPNotFound(reason="no workflows are configured")
        return found

    async def page(self, request: web.Request) -> web.Response:
        executions = self._executions()
        try:
            asked = search.conditions(request.query.items())
        except search.NotAsked as error:
            return problem(HTTPStatus.BAD_REQUEST, str(error))
        try:
            page = await executions.page(**asked)
        except ValueError:
            return problem(HTTPStatus.BAD_REQUEST, "before is the next of a page of the same search")
        return web.json_response(page)

    async def show(self, request: web.Request) -> web.Response:
        shown = await self._executions().show(request.match_info["id"])
        return _not_found() if shown is None else web.json_response(shown)

    async def history(self, request: web.Request) -> web.Response:
        found = await self._executions().history(request.match_info["id"])
        return _not_found() if found is None else web.json_response(found)

    async def cancel(self, request: web.Request) -> web.Response:
        asked = await _object(request, {"reason", "by"})
        return await _taken(self._executions().cancel(request.match_info["id"], asked["reason"], asked["by"]))

    async def suspend(self, request: web.Request) -> web.Response:
        asked = await _object(request, {"reason", "by"})
        return await _taken(self._executions().suspend(request.match_info["id"], asked["reason"], asked["by"]))

    async def resume(self, request: web.Request) -> web.Response:
        asked = await _object(request, {"reason", "by"})
        return await _taken(self._executions().resume(request.match_info["id"], asked["reason"], asked["by"]))

    async def migrate(self, request: web.Request) -> web.Response:
        asked = await _object(request, {"to", "reason", "by"}, optional={"dryRun"})
        id, words = request.match_info["id"], (asked["to"], asked["reason"], asked["by"])
        return await _told(self._executions().migrate(id, *words, dry_run=flag(asked, "dryRun")))

    async def restart(self, request: web.Request) -> web.Response:
        optional = {"from", "input", "context", "version", "takeUndos", "dryRun"}
        asked = await _object(request, {"reason", "by"}, optional=optional)
        for name in ("from", "version"):
            if name in asked and not (isinstance(asked[name], str) and 0 < len(asked[name]) <= 1000):
                return problem(HTTPStatus.BAD_REQUEST, f"{name} is a text of 1 to 1000 characters")
        restarted = self._executions().restart(
            request.match_info["id"],
            dry_run=flag(asked, "dryRun"),
            reason=asked["reason"],
            by=asked["by"],
            task=asked.get("from"),
            edited={name: asked[name] for name in ("input", "context") if name in asked},
            version=asked.get("version"),
            take_undos=flag(asked, "takeUndos"),
        )
        return await _told(restarted)

    async def resolve(self, request: web.Request) -> web.Response:
        asked = await _object(request, {"action", "reason", "by"}, optional={"arguments"})
        if asked["action"] not in ACTIONS:
            return problem(HTTPStatus.BAD_REQUEST, f"action is one of {', '.join(ACTIONS)}")
        if (asked["action"] == "edit") is not ("arguments" in asked):
            return problem(HTTPStatus.BAD_REQUEST, "arguments go with edit, and only with it")
        id, incident = request.match_info["id"], request.match_info["incident"]
        words = (asked["action"], asked["by"], asked["reason"], asked.get("arguments"))
        return await _taken(self._executions().resolve(id, incident, *words))


async def _taken(asked: Awaitable[bool]) -> web.Response:
    """202: a word is in the log."""
    try:
        known = await asked
    except Conflict as conflict:
        return problem(HTTPStatus.CONFLICT, str(conflict))
    return web.json_response({"status": "accepted"}, status=202) if known else _not_found()


async def _told(asked: Awaitable[Json | None]) -> web.Response:
    """What came of it: 201 if another execution did."""
    try:
        told = await asked
    except Conflict as conflict:
        return problem(HTTPStatus.CONFLICT, str(conflict))
    if told is None:
        return _not_found()
    return web.json_response(told, status=201 if told["status"] == "restarted" else 200)


def flag(asked: Json, name: str) -> bool:
    value = asked.get(name, False)
    if not isinstance(value, bool):
        raise web.HTTPBadRequest(reason=f"{name} is true or false")
    return value


def _not_found() -> web.Response:
    return problem(HTTPStatus.NOT_FOUND, "there is no such execution")


async def _object(request: web.Request, required: set[str], optional: set[str] = frozenset()) -> dict[str, Json]:  # type: ignore[assignment]
    """The body: a JSON object with exactly these keys; texts but for ``arguments``."""
    try:
        body = read(await request.text())
    except ValueError:
        raise web.HTTPBadRequest(reason="the body is not JSON") from None
    if not isinstance(body, dict) or not required <= set(body) <= required | set(optional):
        raise web.HTTPBadRequest(reason=f"the body is an object with {', '.join(sorted(required))}")
    for name in required:
        if not isinstance(body[name], str) or not 0 < len(body[name]) <= 1000:
            raise web.HTTPBadRequest(reason=f"{name} is a text of 1 to 1000 characters")
    return body
