"""An execution that has not ended goes on by another version of its workflow, if that has led to where it stands."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import Any

from stagedoor.engine.definitions import Definitions
from stagedoor.engine.embedded import Engine
from stagedoor.engine.event_log import EventLog
from stagedoor.engine.execution import Execution
from stagedoor.engine.resuming import timers
from stagedoor.engine.store import StoreError
from stagedoor.errors import Conflict, InvalidDefinition
from stagedoor.workflow.definition import Definition
from stagedoor.workflow.error import ReplayMismatch
from stagedoor.workflow.events import Event, ExecutionMigrated, TimerFired
from stagedoor.workflow.machine import Machine
from stagedoor.workflow.migration import Difference, compare

Json = Any


class Migrator:
    def __init__(self, engine: Engine, event_log: EventLog, definitions: Definitions) -> None:
        self._engine, self._log, self._definitions = engine, event_log, definitions

    async def migrate(self, execution: Execution, version: str, reason: str, by: str, *, dry_run: bool) -> Json:
        """``{execution, workflow, from, to, status}``, with ``migrated`` or ``possible`` as the status. Raises
        ``Conflict``: it cannot be, ``StoreError``: not now."""
        new = self._definition(execution, version)
        told = {
            "execution": execution.id,
            "workflow": new.key,
            "from": {"version": execution.row.version, "definition": execution.row.definition},
            "to": {"version": new.version, "definition": new.hash},
        }
        if dry_run:
            await self._compare(execution, new, await self._history(execution))
            return told | {"status": "possible"}
        if self._log.broken is not None:
            raise StoreError(f"the store cannot be written: {self._log.broken}")
        if not self._engine.wake(execution):
            raise Conflict(f"the engine cannot go on with it: {execution.broken}")
        # What happens to it from now on is kept back, and happens once it is over.
        execution.kept = []
        try:
            await self._carry_over(execution, new, reason, by)
        finally:
            kept, execution.kept = execution.kept, None
            for _, append in kept:
                append()
            self._engine.flush_soon()
        return told | {"status": "migrated"}

    def _definition(self, execution: Execution, version: str) -> Definition:
        row = execution.row
        try:
            new = self._definitions.version(row.workflow, version)
        except InvalidDefinition as invalid:
            raise Conflict(f"version {version} of {row.workflow} cannot be run by this release: {invalid}") from None
        if new is None:
            raise Conflict(f"there is no version {version} of {row.workflow}")
        if new.hash == row.definition:
            raise Conflict(f"it runs by this definition of version {new.version} already")
        if execution.kept is not None:
            raise Conflict("it is being migrated already")
        return new

    async def _carry_over(self, execution: Execution, new: Definition, reason: str, by: str) -> None:
        await self._settle()
        await self._engine.turns.settle(execution)
        events = await self._history(execution)
        if execution.final is not None:
            raise Conflict("it has ended")
        if execution.broken is not None:
            raise Conflict(f"the engine cannot go on with it: {execution.broken}")
        if len(events) != execution.seq:
            raise StoreError("the store cannot be written at present")
        old, machine = await self._compare(execution, new, events)
        row = execution.row
        event = ExecutionMigrated(time.time(), new.hash, new.version, row.definition, by, reason)
        machine.feed(event)
        changed = dict.fromkeys(old.attributes) | machine.attributes
        committed = asyncio.Event()
        self._engine.migrate(execution, event, changed, committed.set)
        await committed.wait()
        # Timers that fired meanwhile, and that are others now, have not.
        same = {id for id, _ in timers(old).items() & timers(machine).items()}
        execution.kept = [
            (each, append)
            for each, append in execution.kept or []
            if not isinstance(each, TimerFired) or each.timer in same
        ]
        self._engine.exchange(execution, machine)

    async def _settle(self) -> None:
        """Everything that was appended before is committed and fed, unless the store cannot be written: a task of the
        writer follows what came before the one before it."""
        self._engine.flush()
        for _ in range(2):
            await self._log.run(lambda connection: None)

    async def _history(self, execution: Execution) -> list[Event]:
        past = await self._log.history.ask(partial(self._log.history.past, execution.id, whole=True))
        if past.snapshot is not None:
            raise Conflict("its history begins at a snapshot: what came before cannot be tried by another version")
        return past.tail

    async def _compare(self, execution: Execution, new: Definition, events: list[Event]) -> tuple[Machine, Machine]:
        old = self._definitions.of(execution.row.definition)
        try:
            found = await self._log.history.ask(partial(compare, old, new, events))
        except ReplayMismatch as mismatch:
            raise Conflict(f"its own history does not lead to where it stands: {mismatch}") from None
        if isinstance(found, Difference):
            raise Conflict(f"version {new.version} goes another way: {found}")
        return found
