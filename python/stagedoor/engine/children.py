"""Executions that tasks of other executions run: begun once, told to end with them, and their end told to them."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from stagedoor.engine.definitions import Definitions
from stagedoor.engine.event_log import EventLog
from stagedoor.engine.execution import STATUS, Execution, Final
from stagedoor.engine.history import Row
from stagedoor.workflow.commands import CancelChild, StartChild, UndoChild
from stagedoor.workflow.definition import Definition
from stagedoor.workflow.error import standard
from stagedoor.workflow.events import (
    CancelRequested,
    ChildEnded,
    ChildStarted,
    ChildUndone,
    Event,
    ExecutionCancelled,
    ExecutionCompleted,
    ExecutionFaulted,
    UndoRequested,
)

RETRY_S = 0.5
"""Before a store that cannot be read is asked again."""
MAX_DEPTH = 16
"""Executions that run executions."""

Json = Any


class Engine(Protocol):
    """What children need of it."""

    open: dict[str, Execution]

    def append(self, execution: Execution, event: Event) -> None: ...
    def start(
        self, definition: Definition, input: Json, *, like: Row, trace: str | None, token: Any, id: str, parent: Json
    ) -> Execution:
        """ValueError says why it cannot be."""

    def reopen(self, row: Row, request: UndoRequested, token: Any) -> None:
        """An execution that has completed, to be undone."""

    @property
    def crowded(self) -> bool: ...
    def flush_soon(self) -> None: ...


class Children:
    def __init__(
        self, engine: Engine, event_log: EventLog, definitions: Definitions, clock: Callable[[], float]
    ) -> None:
        self._engine, self._log, self._definitions, self._clock = engine, event_log, definitions, clock

    def start(self, parent: Execution, wanted: StartChild) -> None:
        """Or find it, if it was begun before a crash."""
        child = self._engine.open.get(wanted.child)
        if child is not None:
            self._started(parent, wanted)
        else:
            self._look(parent, wanted, wanted.child, partial(self._begin, parent, wanted))

    def cancel(self, parent: Execution, wanted: CancelChild) -> None:
        child = self._engine.open.get(wanted.child)
        if child is None:
            # It ended, or it never began: its end is told all the same, if anybody waits for it.
            self._look(parent, wanted, wanted.child, partial(self._never, parent, wanted.id))
        elif child.final is None:
            reason = f"the execution {parent.id} that ran it was stopped"
            self._engine.append(child, CancelRequested(self._clock(), reason, "parent"))

    def undo(self, parent: Execution, wanted: UndoChild) -> None:
        """Undo what a completed child did. One that is open is undone already, and will tell its end."""
        if wanted.child in self._engine.open:
            return
        history = self._log.history
        asked = history.ask(partial(history.shown, wanted.child))
        asked.add_done_callback(partial(self._completed, parent, wanted))

    def ended(self, child: Execution, final: Final) -> None:
        """Tell whoever runs it."""
        parent = self._engine.open.get(child.above) if child.above is not None else None
        if parent is None or parent.final is not None:
            return
        undo = None if child.machine is None else child.machine.undo
        if undo is not None and isinstance(final, ExecutionCancelled):
            self._engine.append(parent, ChildUndone(self._clock(), undo.run, final.compensation))
        else:
            self._engine.append(parent, self._end(child.parent["run"], final))

    def _completed(
        self,
        parent: Execution,
        wanted: UndoChild,
        asked: asyncio.Future[tuple[Row, Event] | None],
    ) -> None:
        if asked.cancelled() or parent.final is not None:
            return
        if asked.exception() is not None:
            asyncio.get_running_loop().call_later(RETRY_S, self.undo, parent, wanted)
            return
        row, last = asked.result() or (None, None)
        if row is None or not isinstance(last, ExecutionCompleted | ExecutionCancelled):
            detail = f"there is no execution {wanted.child} that has completed"
            error = standard("runtime", 404, "The workflow cannot be undone", wanted.task, detail)
            self._engine.append(parent, ChildUndone(self._clock(), wanted.id, error=error))
        elif isinstance(last, ExecutionCancelled):
            # Undone before a crash.
            self._engine.append(parent, ChildUndone(self._clock(), wanted.id, last.compensation))
        elif wanted.child not in self._engine.open:
            reason = f"the execution {parent.id} that ran it is undone"
            request = UndoRequested(self._clock(), reason, wanted.id, parent.id)
            self._engine.reopen(row, request, parent.caller_token)
        self._engine.flush_soon()

    def _look(
        self, parent: Execution, wanted: StartChild | CancelChild, child: str, missing: Callable[[], None]
    ) -> None:
        """In the store; a machine that was just read back asks for what may be there."""
        if not parent.recovered:
            missing()
            return
        asked = self._log.history.ask(partial(self._log.history.shown, child))
        asked.add_done_callback(partial(self._found, parent, wanted, missing))

    def _found(
        self,
        parent: Execution,
        wanted: StartChild | CancelChild,
        missing: Callable[[], None],
        asked: asyncio.Future[tuple[Row, Event] | None],
    ) -> None:
        if asked.cancelled() or parent.final is not None:
            return
        if asked.exception() is not None:
            loop = asyncio.get_running_loop()
            loop.call_later(RETRY_S, partial(self._look, parent, wanted, wanted.child, missing))
            return
        found = asked.result()
        if found is None:
            missing()
        elif isinstance(found[1], Final):
            if isinstance(wanted, StartChild):
                self._started(parent, wanted)
            if not isinstance(wanted, StartChild) or wanted.awaited:
                self._engine.append(parent, self._end(wanted.id, found[1]))
        self._engine.flush_soon()

    def _begin(self, parent: Execution, wanted: StartChild) -> None:
        if wanted.child in self._engine.open:
            self._started(parent, wanted)
            return
        depth = 1 if parent.parent is None else parent.parent["depth"] + 1
        try:
            definition = self._definitions.version(wanted.workflow, wanted.version)
        except sqlite3.Error:
            asyncio.get_running_loop().call_later(RETRY_S, self._again, parent, wanted)
            return
        if definition is None:
            self._refuse(parent, wanted, 404, f"there is no workflow {wanted.workflow} of version {wanted.version}")
        elif depth > MAX_DEPTH:
            self._refuse(parent, wanted, 500, f"more than {MAX_DEPTH} executions run each other")
        elif self._engine.crowded:
            self._refuse(parent, wanted, 503, "too many executions have not ended")
        else:
            link = {"execution": parent.id, "run": wanted.id, "depth": depth}
            try:
                self._engine.start(
                    definition,
                    wanted.input,
                    like=parent.row,
                    trace=parent.trace,
                    token=parent.caller_token,
                    id=wanted.child,
                    parent=link,
                )
            except ValueError as error:
                self._refuse(parent, wanted, 400, str(error))
                return
            self._started(parent, wanted)

    def _again(self, parent: Execution, wanted: StartChild) -> None:
        if parent.final is None:
            self._begin(parent, wanted)
            self._engine.flush_soon()

    def _started(self, parent: Execution, wanted: StartChild) -> None:
        self._engine.append(parent, ChildStarted(self._clock(), wanted.id, wanted.child))

    def _never(self, parent: Execution, run: str) -> None:
        self._engine.append(parent, ChildEnded(self._clock(), run, "cancelled"))

    def _refuse(self, parent: Execution, wanted: StartChild, status: int, detail: str) -> None:
        error = standard("runtime", status, "The workflow cannot be run", wanted.task, detail)
        self._engine.append(parent, ChildEnded(self._clock(), wanted.id, "faulted", error=error))

    def _end(self, run: str, final: Event) -> ChildEnded:
        if isinstance(final, ExecutionCompleted):
            return ChildEnded(self._clock(), run, "completed", final.output, undo=final.undo)
        if isinstance(final, ExecutionFaulted):
            return ChildEnded(self._clock(), run, "faulted", error=final.error)
        return ChildEnded(self._clock(), run, STATUS[type(final)])  # type: ignore[arg-type]
