"""Executions that have ended, removed on an operator's word: ``POST /executions/purge``."""

from __future__ import annotations

import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Any, Protocol

from aiohttp import web

from stagedoor.admin.api import flag, problem
from stagedoor.admin.body import read
from stagedoor.admin.registry import WHO
from stagedoor.admin.search import moment

STATUSES = ("completed", "faulted", "cancelled")
KNOWN = ("workflow", "status", "before", "dryRun")
Json = Any


class Retention(Protocol):
    async def purge(self, workflow: str | None, status: str | None, before: float, *, dry_run: bool, by: str) -> int:
        """How many there are."""


def add(app: web.Application, retention: Callable[[], Retention | None]) -> None:

    async def purge(request: web.Request) -> web.Response:
        found = retention()
        if found is None:
            raise web.HTTPNotFound(reason="no workflows are configured")
        try:
            workflow, status, before, dry_run = _asked(await request.text())
        except ValueError as error:
            return problem(HTTPStatus.BAD_REQUEST, str(error))
        count = await found.purge(workflow, status, before, dry_run=dry_run, by=request[WHO])
        return web.json_response({"executions": count}, status=200 if dry_run else 202)

    app.router.add_post("/executions/purge", purge)


def _asked(text: str) -> tuple[str | None, str | None, float, bool]:
    """ValueError says what is wrong."""
    try:
        body = read(text)
    except ValueError:
        raise ValueError("the body is not JSON") from None
    if not isinstance(body, dict) or not set(body) <= set(KNOWN):
        raise ValueError(f"the body is an object with some of {', '.join(KNOWN)}")
    workflow, status, before = body.get("workflow"), body.get("status"), body.get("before")
    if workflow is None and status is None and before is None:
        raise ValueError("say which: at least one of workflow, status and before")
    if workflow is not None and not isinstance(workflow, str):
        raise ValueError("workflow is namespace/name")
    if status is not None and status not in STATUSES:
        raise ValueError(f"status is one of {', '.join(STATUSES)}")
    dry_run = flag(body, "dryRun")
    return workflow, status, time.time() if before is None else moment("before", before), dry_run
