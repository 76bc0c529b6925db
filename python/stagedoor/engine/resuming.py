"""Executions that are in the event log already: read back at the start, reopened, taken over, migrated."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from stagedoor import _core
from stagedoor.engine import telling
from stagedoor.engine.beginning import Beginning
from stagedoor.engine.definitions import Definitions
from stagedoor.engine.event_log import Append, EventLog
from stagedoor.engine.execution import Execution
from stagedoor.engine.feeding import AGAIN_S
from stagedoor.engine.history import Row
from stagedoor.engine.inbox import Inbox
from stagedoor.engine.record import encode
from stagedoor.engine.recovery import revive
from stagedoor.engine.snapshots import Snapshots
from stagedoor.engine.store import reading
from stagedoor.workflow.commands import CancelTimer, StartTimer
from stagedoor.workflow.events import ExecutionMigrated, UndoRequested
from stagedoor.workflow.machine import Machine

log = logging.getLogger("stagedoor.engine")


class Resuming(Beginning):
    inbox: Inbox

    def __init__(
        self,
        plane: _core.DataPlane,
        event_log: EventLog,
        definitions: Definitions,
        clock: Callable[[], float],
        snapshots: Snapshots | None,
    ) -> None:
        super().__init__(plane, event_log, clock, snapshots)
        self._definitions = definitions

    def recover(self) -> int:
        """Read back every open execution; how many there are. One whose machine fails stays open and is logged;
        StoreError if the store cannot be read."""
        with reading(self._log.path):
            return self._recover()

    def _recover(self) -> int:
        self.inbox.load()
        self.parking.load()
        marks = self._log.history.told()
        if self.telling == telling.Wanted():
            self._appends += [telling.over(id) for id in marks]
            marks = {}
        for row in self._log.history.open():
            parked = self.parking.recovered(row)
            if parked is not None:
                parked.told = marks.get(row.id)
                self._keep(parked)
                self.admission.add(parked)
            else:
                self._read_back(row, marks.get(row.id))
        self.counters.recovered = len(self.open)
        return self.counters.recovered

    def _read_back(self, row: Row, told: int | None = None) -> Execution:
        """sqlite3.Error if the store cannot be read."""
        execution = Execution(row, None, updated=row.created, told=told, started=True, recovered=True)
        self._keep(execution)
        try:
            self._appends += revive(execution, self._log.recall, self._definitions, self.telling)
        except sqlite3.Error:
            self._drop(execution)
            raise
        except Exception as failure:  # noqa: BLE001 - logged, and one execution's own
            self._break(execution, failure)
        self.admission.add(execution, queued=execution.status == "pending")
        return execution

    def reopen(self, row: Row, request: UndoRequested, token: Any) -> None:
        """An execution that has completed, to be undone by whoever ran it, on behalf of the same caller."""
        try:
            execution = self._read_back(replace(row, status="running", ended=None))
        except sqlite3.Error as error:
            log.warning("execution is not undone yet: %s", error, extra={"execution": row.id})
            self._loop.call_later(AGAIN_S, self._again, partial(self.reopen, row, request, token))
            return
        execution.caller_token = token
        if execution.machine is not None:
            self.append(execution, request, status="running")

    def adopt(self, execution: Execution) -> None:
        """Go on with one that is in the log already."""
        self._keep(execution)
        self.admission.add(execution)
        execution.fed, execution.since = execution.seq - 1, execution.seq
        self.counters.started += 1
        self.counters.restarted += 1
        if execution.machine is not None:
            self._run(execution, execution.machine.pending())
        self.flush_soon()

    def migrate(
        self, execution: Execution, event: ExecutionMigrated, attributes: dict[str, Any], done: Callable[[], None]
    ) -> None:
        """Write it down, whatever else is kept back; ``done`` once it is committed."""
        row = replace(execution.row, version=event.version, definition=event.definition)
        append = Append(row.id, execution.seq, "ExecutionMigrated", event.at, encode(event), lambda error: done())
        append.migrates, append.attributes = (row.version, row.definition), attributes
        execution.row, execution.updated = row, event.at
        execution.seq += 1
        self._appends.append(append)
        self.flush_soon()

    def exchange(self, execution: Execution, machine: Machine) -> None:
        """Go on by another machine, which waits for the same but for timers."""
        self.counters.migrated += 1
        old = {} if execution.machine is None else timers(execution.machine)
        new = timers(machine)
        execution.machine = machine
        if execution.told is not None:
            telling.watch(execution)
        self.snapshots.exchanged(execution)
        gone = [CancelTimer(id) for id, at in old.items() if new.get(id) != at]
        self._run(execution, [*gone, *(StartTimer(id, at) for id, at in new.items() if old.get(id) != at)])
        self.flush_soon()


def timers(machine: Machine) -> dict[str, float]:
    """Those that it waits for, and when they are due."""
    return {each.id: each.at for each in machine.pending() if isinstance(each, StartTimer)}
