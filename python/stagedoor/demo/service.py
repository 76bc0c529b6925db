"""A service of the shop: things that are made and undone once for each idempotency key. All eight are made here."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from stagedoor.demo.fault import Fault, Faults
from stagedoor.demo.ledger import Answer, Ledger

Json = Any


@dataclass(frozen=True, slots=True)
class Refusal:
    """A definite no, as problem+json."""

    status: int
    title: str
    detail: str

    @property
    def problem(self) -> Json:
        return {"title": self.title, "status": self.status, "detail": self.detail}


@dataclass(frozen=True, slots=True)
class Service:
    """``POST /COLLECTION`` makes one, ``DELETE /COLLECTION/ID`` undoes it, ``GET`` shows one or all that are there."""

    name: str
    collection: str
    id: str
    """The field of the body that names the thing, chosen by the caller: so it can be undone even by a caller that never
    got an answer."""
    number: tuple[str, str]
    """The field of the answer with the service's own number, and that number's prefix."""
    needs: tuple[str, ...]
    """Fields that a body must have beside the id."""
    shows: tuple[str, ...] = ()
    """Fields of the body that are part of the answer."""
    special: Mapping[str, Mapping[str, Refusal | Fault]] = field(default_factory=dict)
    """Field of the body → value → what happens then. A repeated request is never disturbed."""
    extra: Callable[[Json], Json] = lambda body: {}
    """What the answer says further, from the body."""
    items: Mapping[str, Json] = field(default_factory=dict)
    """What ``GET /items`` shows."""


def app(service: Service, path: Path) -> Starlette:
    """The service with its ledger in the file ``path``."""
    door = _Door(service, Ledger(path))
    things = f"/{service.collection}"
    return Starlette(
        routes=[
            Route("/healthz", door.healthy),
            Route("/ledger", door.show_ledger),
            Route("/faults", door.show_faults),
            Route("/faults", door.add_fault, methods=["POST"]),
            Route("/faults", door.clear_faults, methods=["DELETE"]),
            Route("/items", door.list_items),
            Route("/items/{id}", door.show_item),
            Route(things, door.list_things),
            Route(things, door.make, methods=["POST"]),
            Route(f"{things}/{{id}}", door.show),
            Route(f"{things}/{{id}}", door.undo, methods=["DELETE"]),
        ]
    )


class _Door:
    def __init__(self, service: Service, ledger: Ledger) -> None:
        self._service, self._ledger, self._faults = service, ledger, Faults()

    async def healthy(self, request: Request) -> Response:
        return JSONResponse({"service": self._service.name})

    async def show_ledger(self, request: Request) -> Response:
        return JSONResponse({"service": self._service.name, **self._ledger.read()})

    async def show_faults(self, request: Request) -> Response:
        return JSONResponse(self._faults.show())

    async def add_fault(self, request: Request) -> Response:
        try:
            self._faults.add(await request.json())
        except ValueError as error:
            return _refuse(Refusal(400, "Not a fault", str(error)))
        return JSONResponse(self._faults.show(), 201)

    async def clear_faults(self, request: Request) -> Response:
        self._faults.clear()
        return Response(status_code=204)

    async def list_items(self, request: Request) -> Response:
        return JSONResponse({"items": list(self._service.items.values())})

    async def show_item(self, request: Request) -> Response:
        item = self._service.items.get(request.path_params["id"])
        return _missing() if item is None else JSONResponse(item)

    async def list_things(self, request: Request) -> Response:
        return JSONResponse({self._service.collection: self._ledger.live()})

    async def show(self, request: Request) -> Response:
        thing = self._ledger.get(request.path_params["id"])
        return _missing() if thing is None else JSONResponse(thing)

    async def make(self, request: Request) -> Response:
        try:
            body = await request.json()
        except json.JSONDecodeError:
            body = None
        names = (self._service.id, *self._service.needs)
        missing = [name for name in names if not isinstance(body, dict) or body.get(name) in (None, "")]
        if missing:
            return _refuse(Refusal(400, "Body not valid", f"Expected a JSON object with {' and '.join(missing)}."))
        id = str(body[self._service.id])
        special = self._special(body)

        def work() -> Answer:
            if isinstance(special, Refusal):
                return Answer(special.status, special.problem)
            state = self._ledger.state(id)
            if state is not None:
                word = "exists" if state == "live" else "was undone"
                return Answer(409, Refusal(409, "Conflict", f"{self._service.id} {id} {word} already.").problem)
            shown = {name: body.get(name) for name in self._service.shows}
            made = {self._service.id: id, **self._number(id), **shown, **self._service.extra(body)}
            self._ledger.put(id, "live", made)
            return Answer(201, made)

        return await self._do(request, id, body, work, special if isinstance(special, Fault) else None)

    async def undo(self, request: Request) -> Response:
        id = request.path_params["id"]

        def work() -> Answer:
            was = self._ledger.state(id)
            # Undone before it was done: remembered, so that a request that comes late is refused.
            self._ledger.put(id, "void" if was in (None, "void") else "gone", {self._service.id: id})
            return Answer(200, {self._service.id: id, "undone": was == "live"})

        return await self._do(request, id, None, work, None)

    async def _do(
        self, request: Request, id: str, body: Json, work: Callable[[], Answer], special: Fault | None
    ) -> Response:
        method, path, key = request.method, request.url.path, request.headers.get("idempotency-key")
        fault = self._faults.take(method, path)
        self._ledger.arrived(key, method, id, fault.do if fault else None)
        if fault is not None and fault.do == "fail":
            return _refuse(Refusal(fault.status, "Out of order", f"The {self._service.name} service was told to fail."))
        if fault is not None and fault.do == "hang":
            return await _no_answer(request)
        answer = self._ledger.record(key, method, path, body, work)
        if fault is None and not answer.repeated:
            fault = special
        if fault is not None and fault.do == "late":
            await asyncio.sleep(fault.seconds)
        if fault is not None and fault.do == "drop":
            request.scope["transport"].abort()
            return await _no_answer(request)
        media_type = "application/json" if answer.status < 400 else "application/problem+json"
        return JSONResponse(answer.body, answer.status, media_type=media_type)

    def _special(self, body: Json) -> Refusal | Fault | None:
        for name, values in self._service.special.items():
            value = body.get(name)
            if isinstance(value, str) and value in values:
                return values[value]
        return None

    def _number(self, id: str) -> Json:
        name, prefix = self._service.number
        return {name: f"{prefix}-{hashlib.sha256(id.encode()).hexdigest()[:8]}"}


def _refuse(refusal: Refusal) -> Response:
    return JSONResponse(refusal.problem, refusal.status, media_type="application/problem+json")


def _missing() -> Response:
    return _refuse(Refusal(404, "Not found", "There is nothing of that name."))


async def _no_answer(request: Request) -> Response:
    """Wait until the other side has gone; what is returned then reaches nobody."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
    return Response(status_code=499)
