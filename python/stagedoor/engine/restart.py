"""An execution that has ended is begun anew, from its start or from a task, as another execution that names it."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

from stagedoor.engine import telling
from stagedoor.engine.blob import pack
from stagedoor.engine.definitions import Definitions
from stagedoor.engine.embedded import Engine
from stagedoor.engine.event_log import Append, EventLog
from stagedoor.engine.execution import Execution, new_id
from stagedoor.engine.history import Row
from stagedoor.engine.perform import MAX_BYTES
from stagedoor.engine.record import encode, encode_json
from stagedoor.engine.statement import Start, write
from stagedoor.engine.store import StoreError
from stagedoor.errors import Conflict, InvalidDefinition
from stagedoor.workflow.definition import Definition
from stagedoor.workflow.events import RULES, Event, ExecutionRestarted, ExecutionStarted
from stagedoor.workflow.machine import Machine
from stagedoor.workflow.restart import Cut, cut

MAX_EVENTS = 20_000
"""Events that a restart takes over."""

_HEIR = """
WITH RECURSIVE line(id, below) AS (
    SELECT ?, NULL
    UNION
    SELECT execution.origin, execution.id FROM line JOIN execution ON execution.id = line.id
    WHERE execution.origin IS NOT NULL
)
SELECT other.id FROM line JOIN execution AS other ON other.origin = line.id AND other.heir = 1
WHERE other.id IS NOT line.below
"""
"""Who has taken over what an execution did, or what was done by the one that it was restarted from, and so on."""
Json = Any


@dataclass(frozen=True, slots=True)
class Wish:
    """What an operator asks for."""

    reason: str
    by: str
    task: str | None = None
    """A name or a reference; None: from the start."""
    edited: Mapping[str, Json] | None = None
    """``input`` of the task, or of the workflow, and ``context``; what is not there stays as it was."""
    version: str | None = None
    """None: that of the origin."""
    take_undos: bool = False
    """What the origin did before the task is undone if the new one fails."""


PATIENCE_S = 5.0
"""For the writing of an end."""


class Restarter:
    def __init__(self, engine: Engine, event_log: EventLog, definitions: Definitions) -> None:
        self._engine, self._log, self._definitions = engine, event_log, definitions

    async def restart(self, row: Row, wish: Wish, *, dry_run: bool) -> Json:
        """``{origin, workflow, version, event, task, undos, status}`` with ``restarted`` and the new ``execution``, or
        with ``possible``. Raises ``Conflict``: it cannot be, ``StoreError``: not now."""
        await self._ended(row.id)
        _check(wish)
        new = self._definition(row, wish.version)
        history = self._log.history
        past = await history.ask(lambda: history.past(row.id, whole=True))
        first = past.told[0] if past.told else None
        if not isinstance(first, ExecutionStarted):
            raise Conflict("it has left the store")
        place = None
        if wish.task is not None:
            if past.snapshot is not None or len(past.tail) > MAX_EVENTS:
                why = "begins at a snapshot" if past.snapshot is not None else f"has more than {MAX_EVENTS} events"
                raise Conflict(f"its history {why}: restart it from the start")
            await self._not_undone_by_another(first)
            old = self._definitions.of(row.definition)
            place = await history.ask(partial(cut, old, new, past.tail, wish.task))
        if wish.take_undos:
            _may_take(first, place)
        id, now = new_id(), time.time()
        written = _events(first, place, wish, row, id, now, new)
        told = {
            "origin": row.id,
            "workflow": new.key,
            "version": new.version,
            "event": 0 if place is None else place.event,
            "task": None if place is None else place.task,
            "undos": place.undos if place is not None and wish.take_undos else [],
        }
        machine = await history.ask(partial(_fed, new, written, moves=self._engine.telling.follows(new)))
        if dry_run:
            await history.query(partial(_untaken, row.id) if place is not None else lambda connection: None)
            return told | {"status": "possible"}
        await self._begin(row, wish, new, machine, written, now)
        return told | {"execution": id, "status": "restarted"}

    async def _ended(self, id: str) -> None:
        """Whoever was told of its end need not know that it is still being written."""
        loop = asyncio.get_running_loop()
        patience = loop.time() + PATIENCE_S
        while (execution := self._engine.open.get(id)) is not None:
            if execution.final is None:
                raise Conflict("it has not ended: cancel it first, or let it end")
            if loop.time() > patience:
                raise StoreError("its end is being written: ask again")
            await asyncio.sleep(0.005)

    def _definition(self, row: Row, version: str | None) -> Definition:
        try:
            if version is None:
                return self._definitions.of(row.definition)
            found = self._definitions.version(row.workflow, version)
        except InvalidDefinition as invalid:
            raise Conflict(f"its definition cannot be run by this release: {invalid}") from None
        if found is None:
            raise Conflict(f"there is no version {version} of {row.workflow}")
        return found

    async def _not_undone_by_another(self, first: ExecutionStarted) -> None:
        """Whoever ran it may undo what it did, until that has ended itself, and whoever ran that."""
        above: Event | None = first
        while isinstance(above, ExecutionStarted) and above.parent is not None:
            id = str(above.parent["execution"])
            if id in self._engine.open:
                raise Conflict(f"execution {id} has run it, has not ended, and may undo it: restart that one")
            facts = await self._log.history.ask(partial(self._log.history.facts, id))
            above = facts[0] if facts else None

    async def _begin(
        self, row: Row, wish: Wish, new: Definition, machine: Machine, events: list[Event], now: float
    ) -> None:
        engine, started = self._engine, events[0]
        assert isinstance(started, ExecutionStarted)
        if not engine.startable or engine.full:
            raise StoreError("no execution can be started now")
        start = Start(
            *(new.key, new.version, new.hash, row.route, row.consumer),
            origin=row.id,
            heir=wish.take_undos,
            created=now,
        )
        appends = []
        for seq, event in enumerate(events):
            data, blobs = pack(event, encode(event))
            appends.append(Append(started.execution, seq, type(event).__name__, event.at, data, blobs=blobs))
        appends[0].start, appends[0].attributes = start, dict(machine.attributes)
        fresh = Row(
            started.execution, new.key, new.version, new.hash, "running", row.route, row.consumer, None, None, now
        )
        appends[0].outbox = engine.told(fresh, replace(started, at=now), 0)
        execution = Execution(replace(fresh, origin=row.id), machine, seq=len(events), updated=now, started=True)
        if machine.moves is not None:
            telling.begun(execution, appends[-1], engine.telling)
            # What was taken over is the origin's, and nobody is told of it again.
            execution.told = appends[-1].told = appends[-1].seq

        def put(connection: sqlite3.Connection) -> None:
            if wish.task is not None:
                _untaken(row.id, connection)
            write(connection, appends, self._log.epoch)

        await self._log.run(put)
        execution.caller_token = False if started.caller_token else None
        engine.adopt(execution)


def _check(wish: Wish) -> None:
    edited = wish.edited or {}
    if "context" in edited and wish.task is None:
        raise Conflict("the context is edited for a task: say from which")
    for name, value in edited.items():
        if len(encode_json(value)) > MAX_BYTES:
            raise Conflict(f"the {name} is larger than {MAX_BYTES} bytes")
    if wish.take_undos and wish.task is None:
        raise Conflict("from the start there is nothing to take over")


def _may_take(first: ExecutionStarted, place: Cut | None) -> None:
    if first.parent is not None:
        raise Conflict("it was run by another execution, which may undo it: its undos cannot be taken over")
    if place is not None and place.kept:
        raise Conflict(f"what {place.kept[0]} did is not this one's to undo: restart it without taking undos over")


def _untaken(origin: str, connection: sqlite3.Connection) -> None:
    """Raises ``Conflict`` if what it did is another execution's to undo, and perhaps undone by that one."""
    found = connection.execute(_HEIR, (origin,)).fetchone()
    if found is not None:
        raise Conflict(f"its undos were taken over by {found[0]}: restart that one")


def _events(
    first: ExecutionStarted, place: Cut | None, wish: Wish, row: Row, id: str, now: float, new: Definition
) -> list[Event]:
    edited = dict(wish.edited or {})
    undos: Literal["left", "taken"] = "taken" if wish.take_undos else "left"
    origin = {
        "execution": row.id,
        "event": 0 if place is None else place.event,
        "task": None if place is None else place.task,
        "edited": sorted(edited),
        "undos": undos,
        "by": wish.by,
        "reason": wish.reason,
    }
    if place is None:
        input = edited.get("input", first.input)
        return [
            ExecutionStarted(
                now, id, new.hash, input, row.consumer, None, first.caller_token, engine=RULES, origin=origin
            )
        ]
    origin |= {"began": place.began, "stops": place.stops}
    started = replace(first, execution=id, definition=new.hash, trace=None, parent=None, origin=origin)
    restarted = ExecutionRestarted(
        now, id, place.task, sorted(edited), edited.get("input"), edited.get("context"), undos
    )
    return [started, *place.events[1:], restarted]


def _fed(definition: Definition, events: list[Event], *, moves: bool) -> Machine:
    """``moves``: it says what becomes of its own tasks. Those around the one that it begins at begin with it."""
    machine = Machine(definition)
    for event in events[:-1]:
        machine.feed(event)
    if moves:
        machine.moves = []
        machine.all_moved("created")
        machine.all_moved("started")
    machine.feed(events[-1])
    return machine
