"""Executions begin: in the event log first, before anything is done that they ask for."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from stagedoor import _core
from stagedoor.engine import telling
from stagedoor.engine.admission import Admission, Room
from stagedoor.engine.callers import RETRY_AFTER_S
from stagedoor.engine.door import TooLarge
from stagedoor.engine.event_log import Append, EventLog
from stagedoor.engine.execution import STATUS, Execution, Final, new_id
from stagedoor.engine.feeding import Feeding
from stagedoor.engine.history import Row
from stagedoor.engine.perform import MAX_BYTES, conclusion
from stagedoor.engine.record import encode
from stagedoor.engine.snapshots import Snapshots
from stagedoor.engine.statement import Start
from stagedoor.engine.store import StoreError
from stagedoor.engine.turns import slice_of_time
from stagedoor.workflow.commands import Command, Complete, Fault
from stagedoor.workflow.definition import Definition
from stagedoor.workflow.events import ExecutionAdmitted, ExecutionStarted
from stagedoor.workflow.machine import Machine

SCHEDULE = "(schedule)"
"""Stands for the route of an execution that no request started: it is no route's name."""

Json = Any
log = logging.getLogger("stagedoor.engine")


class Beginning(Feeding):
    def __init__(
        self, plane: _core.DataPlane, event_log: EventLog, clock: Callable[[], float], snapshots: Snapshots | None
    ) -> None:
        super().__init__(plane, event_log, clock, snapshots)
        self.admission = Admission(self._admit)
        self._closing = False

    @property
    def startable(self) -> bool:
        """Whether anything can be started now."""
        return not self._closing and self._log.broken is None

    @property
    def full(self) -> bool:
        return len(self.open) >= self.limits.executions

    @property
    def crowded(self) -> bool:
        """Executions run executions: these have as many places again."""
        return len(self.open) >= 2 * self.limits.executions

    def room(self, workflow: str) -> Room:
        """Whether one more execution that nobody runs may begin."""
        return self.admission.room(workflow)

    def start_scheduled(self, definition: Definition, input: Json, ticks: tuple[tuple[str, float], ...]) -> str | None:
        """An execution by a schedule: its id, or None if none can be started now."""
        if not self.startable or self.full or self.room(definition.key) == "none":
            return None
        start = Start(definition.key, definition.version, definition.hash, SCHEDULE, ticks=ticks)
        try:
            execution = self.begin_execution(definition, input, start)
        except ValueError as error:
            log.error("schedule: %s", error, extra={"workflow": definition.key})
            return None
        self.flush_soon()
        return execution.id

    def start(
        self,
        definition: Definition,
        input: Json,
        *,
        like: Row,
        trace: str | None,
        token: Any,
        id: str,
        parent: Json,
    ) -> Execution:
        """An execution for another one, on behalf of the same consumer. ValueError says why it cannot be."""
        start = Start(definition.key, definition.version, definition.hash, like.route, like.consumer, child=True)
        return self.begin_execution(definition, input, start, trace=trace, token=token, id=id, parent=parent)

    def begin_execution(
        self,
        definition: Definition,
        input: Json,
        start: Start,
        *,
        trace: str | None = None,
        token: Any = None,
        id: str | None = None,
        parent: Json = None,
    ) -> Execution:
        """ValueError: the input is not JSON; TooLarge: it is larger than an event may be."""
        now, id = self._clock(), id or new_id()
        queued = parent is None and self.room(definition.key) != "now"
        event = ExecutionStarted(
            now, id, definition.hash, input, start.consumer, trace, token is not None, parent, queued
        )
        data = encode(event)
        if len(data) > MAX_BYTES:
            raise TooLarge(f"input is larger than {MAX_BYTES} bytes")
        row = Row(
            id,
            start.workflow,
            start.version,
            start.definition,
            "running",
            start.route,
            start.consumer,
            start.key,
            start.fingerprint,
            now,
        )
        execution = Execution(row, Machine(definition), trace)
        execution.caller_token, execution.parent = token, parent
        if self.telling.follows(definition):
            telling.watch(execution)
        self._keep(execution)
        self.admission.add(execution, queued=queued)
        execution.seq, execution.updated, execution.size = 1, now, len(data)
        data, blobs = self._packed(event, data)
        execution.fed, execution.since, execution.since_bytes = 0, 1, len(data)
        outbox = self.told(row, event, 0)
        begun = Append(id, 0, "ExecutionStarted", now, data, None, start, outbox=outbox, blobs=blobs)
        self._appends.append(begun)
        wanted = self._feed(execution, event, slice_of_time())
        if execution.told is not None:
            # It is fed before it is committed, so both are written together; unless some of it is still to come.
            telling.begun(execution, begun, self.telling)
        final: Final | None = None
        if len(wanted) == 1 and isinstance(wanted[0], Complete | Fault):
            # It needs nobody: its end is written together with its beginning.
            final = conclusion(wanted[0], self._clock())
            self.append(execution, final, status=STATUS[type(final)])
        begun.done = partial(self._begun, execution, wanted, final)
        return execution

    def _begun(
        self, execution: Execution, wanted: list[Command], final: Final | None, error: StoreError | None
    ) -> None:
        """Its first event is committed, or cannot be: nothing that it asks for was done before."""
        if error is not None:
            log.error("execution refused: %s", error, extra={"workflow": execution.row.workflow})
            self._drop(execution)
            refusal = ("refused", "engine-unavailable", "The store cannot be written.", RETRY_AFTER_S)
            self._callers.release(execution, lambda callout: (callout, *refusal))
            return
        self.counters.started += 1
        execution.started = True
        self._callers.started(execution, ends=final is not None)
        if final is not None:
            self._ended(execution, final)
        elif execution.broken is None:
            self._run(execution, wanted)
            self.turns.resume(execution)
            self.admission.go_on(execution.row.workflow)

    def _admit(self, execution: Execution) -> None:
        if not self._closing and execution.final is None and execution.broken is None:
            self.append(execution, ExecutionAdmitted(self._clock()))
            self.flush_soon()
