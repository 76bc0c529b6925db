"""What an operator sees of executions, and what an operator may do to them. Everything goes in and out as JSON."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from stagedoor.engine import cloud_events, search
from stagedoor.engine.decide import Action, Decider
from stagedoor.engine.definitions import Definitions
from stagedoor.engine.embedded import Engine
from stagedoor.engine.event_log import EventLog
from stagedoor.engine.execution import STATUS, Execution, Final, status_of, when
from stagedoor.engine.explanation import explain
from stagedoor.engine.history import Past, Row
from stagedoor.engine.migrate import Migrator
from stagedoor.engine.recovery import restored
from stagedoor.engine.replay import recorded
from stagedoor.engine.restart import Restarter, Wish
from stagedoor.engine.shown import incidents, origin, told
from stagedoor.engine.store import StoreError
from stagedoor.errors import Conflict
from stagedoor.workflow.course import TURN
from stagedoor.workflow.definition import Definition
from stagedoor.workflow.events import (
    CancelRequested,
    Event,
    ExecutionCompleted,
    ExecutionFaulted,
    SuspendRequested,
)
from stagedoor.workflow.machine import Machine

PATIENCE_S = 5.0
"""For the writing of an operator's word."""

Json = Any


class Operator:
    def __init__(self, engine: Engine, event_log: EventLog, definitions: Definitions) -> None:
        self._engine, self._log, self._definitions = engine, event_log, definitions
        self._decider = Decider(engine)
        self._migrator = Migrator(engine, event_log, definitions)
        self._restarter = Restarter(engine, event_log, definitions)

    @property
    def trouble(self) -> str | None:
        """Why executions cannot be started at present."""
        return self._log.broken

    async def page(self, *, limit: int, before: str | None = None, **conditions: Any) -> Json:
        """Those that meet the ``conditions``, which are the fields of ``Search``; ``next`` is the ``before`` of the
        following page, null on the last. ValueError: ``before`` is no end of a page of this search."""
        asked = search.Search(**conditions)

        def read(connection: sqlite3.Connection) -> tuple[search.Found, dict[str, Json]]:
            found = search.find(connection, asked, before, limit)
            return found, search.attributes(connection, [row.id for row, _ in found.rows])

        found, attributes = await self._log.history.query(read)
        shown = [
            {
                **status_of(row, updated, self._status(row), None),
                **origin(row),
                "ended": None if row.ended is None else when(row.ended),
                "incidents": row.incidents,
                "origin": row.origin,
                "attributes": attributes.get(row.id, {}),
            }
            for row, updated in found.rows
        ]
        return {"executions": shown, "next": found.next}

    async def show(self, id: str) -> Json | None:
        """Everything about one execution, its timeline included; None if there is none."""
        history = self._log.history
        row = await history.ask(lambda: history.row(id))
        if row is None:
            return None
        execution = self._engine.open.get(id)
        # The end is known, and the client told, before it is committed: status and error are then told together. Looked
        # at before the events are read, so that these hold all that led to it.
        final = None if execution is None else execution.final
        if execution is not None and execution.broken is not None:
            last: Event = await history.ask(lambda: history.last(id)) if final is None else final
            facts = await history.ask(lambda: history.facts(id))
            return (
                status_of(row, last.at, row.status, last)
                | told(row, facts, await self._incidents_below(id))
                | {"waiting": explain(self._engine, self._log, execution, ()), "timeline": []}
            )
        if execution is not None and final is None and (busy := execution.machine) is not None and busy.tasks >= TURN:
            return await self._show_busy(execution, busy)
        # Fed anew rather than shown from the running machine: what is shown is what is committed.
        definition = self._definitions.of(row.definition)
        try:
            machine, past = await self._read_back(id, definition)
        except Exception:
            if await history.ask(lambda: history.row(id)) is not None:
                raise
        if await history.ask(lambda: history.row(id)) is None:
            # Purged meanwhile: what was read may be a part.
            return None
        last = (past.tail or past.facts)[-1] if final is None else final
        shown = told(row, past.told, await self._incidents_below(id))
        if isinstance(last, Final):
            status = STATUS[type(last)]
        else:
            # What it has come to is told once its end is.
            status = "running" if machine.status in STATUS.values() else machine.status
        at = past.at if final is None else final.at
        shown = status_of(row, at, status, last) | shown | {"attributes": machine.attributes}
        waiting = []
        if not isinstance(last, Final) and execution is not None:
            waiting = explain(self._engine, self._log, execution, machine.waiting())
        return shown | {"waiting": waiting, "timeline": _timeline(machine)}

    async def _show_busy(self, execution: Execution, machine: Machine) -> Json:
        """One that does much without waiting: to be fed with it anew would take as long as it did, and from others."""
        facts = await self._log.history.ask(partial(self._log.history.facts, execution.id))
        return (
            status_of(execution.row, execution.updated, execution.status, execution.final)
            | told(execution.row, facts, await self._incidents_below(execution.id))
            | {"attributes": machine.attributes, "timeline": _timeline(machine)}
            | {"waiting": explain(self._engine, self._log, execution, machine.waiting())}
        )

    async def _read_back(self, id: str, definition: Definition) -> tuple[Machine, Past]:
        """Fed in a thread of its own: a long history takes its time, and others ask the store meanwhile."""
        history = self._log.history
        past = await history.ask(partial(history.past, id))
        machine = await asyncio.to_thread(restored, id, definition, past)
        if machine is None:
            past = await history.ask(partial(history.past, id, whole=True))
            machine = await asyncio.to_thread(restored, id, definition, past)
            assert machine is not None
        return machine, past

    async def _incidents_below(self, id: str) -> list[Json]:
        """Those that are open in what an execution runs, or has undone, each with its ``execution``."""
        found: list[Json] = []
        history = self._log.history
        below = [each.id for each in self._engine.open.values() if each.above == id]
        for child in below:
            events = await history.ask(partial(history.facts, child))
            found += [each | {"execution": child} for each in incidents(events) if each["resolved"] is None]
            found += await self._incidents_below(child)
        return found

    async def receive(self, headers: Sequence[tuple[str, str]], body: bytes) -> int:
        """CloudEvents by HTTP, in; how many of them are new. ValueError says what is wrong with them, StoreError why
        they cannot be kept."""
        return await self._engine.inbox.receive(cloud_events.parse(headers, body))

    async def history(self, id: str) -> Json | None:
        """The document that an execution runs by, and everything that has happened in it: what ``replay`` reads; None
        if there is no such execution."""
        reader = self._log.history
        row = await reader.ask(lambda: reader.row(id))
        if row is None:
            return None
        past = await reader.ask(lambda: reader.past(id, whole=True))
        if await reader.ask(lambda: reader.row(id)) is None:
            return None
        return recorded(row, await reader.ask(lambda: reader.document(row.definition)), past)

    async def cancel(self, id: str, reason: str, by: str) -> bool:
        """Stop, and undo what was done. False: there is no such execution; ``Conflict``: it cannot be."""
        return await self._said(id, lambda execution: self._decider.cancel(execution, reason, by))

    async def suspend(self, id: str, reason: str, by: str) -> bool:
        """Begin no further task. As ``cancel``."""
        return await self._said(id, lambda execution: self._decider.suspend(execution, reason, by))

    async def resume(self, id: str, reason: str, by: str) -> bool:
        """Go on. As ``cancel``."""
        return await self._said(id, lambda execution: self._decider.resume(execution, reason, by))

    async def resolve(self, id: str, incident: str, action: Action, by: str, reason: str, arguments: Json) -> bool:
        """An operator's word on an incident. As ``cancel``."""
        return await self._said(
            id, lambda execution: self._decider.resolve(execution, incident, action, by, reason, arguments)
        )

    async def migrate(self, id: str, version: str, reason: str, by: str, *, dry_run: bool) -> Json | None:
        """See ``Migrator``. None if there is no such execution; ``Conflict`` also if it has ended."""
        execution = await self._found(id)
        if execution is None:
            return None
        return await self._migrator.migrate(execution, version, reason, by, dry_run=dry_run)

    async def restart(self, id: str, *, dry_run: bool, **asked: Any) -> Json | None:
        """See ``Restarter``; what is asked are the fields of ``Wish``. None if there is no such execution."""
        row = await self._log.history.ask(lambda: self._log.history.row(id))
        return None if row is None else await self._restarter.restart(row, Wish(**asked), dry_run=dry_run)

    async def _said(self, id: str, say: Callable[[Execution], None]) -> bool:
        execution = await self._found(id)
        if execution is None:
            return False
        self._writable()
        say(execution)
        await self._heard(execution, execution.asked[-1])
        return True

    async def _heard(self, execution: Execution, word: Event) -> None:
        """Until it is in the log and its machine has heard of it: what is acknowledged survives a crash. ``Conflict``
        if something else came before it that leaves nothing to it."""
        loop = asyncio.get_running_loop()
        patience = loop.time() + PATIENCE_S
        while any(each is word for each in execution.asked) and execution.broken is None:
            if self._engine.open.get(execution.id) is not execution or loop.time() > patience:
                break
            self._writable()
            await asyncio.sleep(0.005)
        final, machine = execution.final, execution.machine
        if isinstance(word, CancelRequested) and machine is not None and machine.error is not None and final is None:
            raise Conflict("it has failed meanwhile, and what it did is being undone")
        late = isinstance(word, CancelRequested) and isinstance(final, ExecutionCompleted | ExecutionFaulted)
        if final is not None and (late or isinstance(word, SuspendRequested)):
            raise Conflict(f"it has ended meanwhile: it is {STATUS[type(final)]}")

    def _writable(self) -> None:
        if self._log.broken is not None:
            raise StoreError(f"the store cannot be written: {self._log.broken}")

    async def _found(self, id: str) -> Execution | None:
        """One that has not ended and goes on. None: there is no such execution. Raises ``Conflict``."""
        execution = self._engine.open.get(id)
        if execution is None:
            row = await self._log.history.ask(lambda: self._log.history.row(id))
            if row is None:
                return None
            raise Conflict(f"it has ended: it is {row.status}")
        if execution.broken is not None:
            raise Conflict(f"the engine cannot go on with it: {execution.broken}")
        if not execution.started or execution.final is not None:
            raise Conflict("it has not begun" if execution.final is None else "it has ended")
        return execution

    def _status(self, row: Row) -> str:
        execution = self._engine.open.get(row.id)
        return row.status if execution is None else execution.status


def _timeline(machine: Machine) -> Json:
    return [
        {**entry, "at": when(entry["at"]), "until": None if entry["until"] is None else when(entry["until"])}
        for entry in machine.timeline()
    ]
