"""At the door: callouts that start an execution, join one by its key, or ask how one is getting on."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Mapping
from functools import partial
from typing import Any, Protocol

from stagedoor import _core
from stagedoor.engine.admission import Room
from stagedoor.engine.callers import RETRY_AFTER_S, Callers, ended, running
from stagedoor.engine.definitions import Definitions
from stagedoor.engine.execution import Execution, Final, status_of
from stagedoor.engine.history import History, Row
from stagedoor.engine.record import canonical_json
from stagedoor.engine.statement import Start
from stagedoor.workflow.definition import Definition
from stagedoor.workflow.events import Event

Json = Any
Caller = tuple[str, str | None, str]
"""Workflow, consumer, idempotency key."""


class TooLarge(ValueError):
    """An input is larger than an event of the log may be."""


class Engine(Protocol):
    """What is behind the door."""

    open: dict[str, Execution]
    by_key: dict[Caller, Execution]

    @property
    def startable(self) -> bool: ...
    @property
    def full(self) -> bool: ...
    def room(self, workflow: str) -> Room: ...
    def begin_execution(
        self, definition: Definition, input: Json, start: Start, *, trace: str | None = None, token: Any = None
    ) -> Execution:
        """ValueError: the input is not JSON; TooLarge: it is larger than an event may be."""

    def flush_soon(self) -> None: ...


class Door:
    def __init__(self, engine: Engine, callers: Callers, definitions: Definitions, history: History) -> None:
        self.routes: Mapping[str, str] = {}
        """Workflow routes with their ``namespace/name``."""
        self.joined = 0
        self._engine, self._callers = engine, callers
        self._definitions, self._history = definitions, history
        self._asked: dict[Caller, list[_core.Execute]] = {}

    def execute(self, notice: _core.Execute) -> None:
        if notice.idempotency_key is None:
            self._start(notice, None)
            return
        caller = (notice.workflow, notice.consumer, notice.idempotency_key)
        execution = self._engine.by_key.get(caller)
        if execution is not None:
            self._join(notice, execution.row, execution)
        elif caller in self._asked:
            self._asked[caller].append(notice)
        else:
            self._asked[caller] = [notice]
            asked = self._history.ask(partial(self._history.ended, *caller))
            asked.add_done_callback(partial(self._looked_up, caller))

    def _looked_up(self, caller: Caller, asked: asyncio.Future[tuple[Row, Event] | None]) -> None:
        for notice in self._asked.pop(caller):
            execution = self._engine.by_key.get(caller)
            if asked.cancelled() or asked.exception() is not None:
                self._callers.refuse(notice.callout, "engine-unavailable", "The store cannot be read.", RETRY_AFTER_S)
            elif execution is not None:
                self._join(notice, execution.row, execution)
            elif (found := asked.result()) is not None:
                self._join(notice, *found)
            else:
                self._start(notice, caller)
        self._engine.flush_soon()

    def _join(self, notice: _core.Execute, row: Row, known: Execution | Event) -> None:
        """The key was used before: the same input gets the same execution, another is refused."""
        if row.fingerprint != _fingerprint(notice.input):
            self._callers.refuse(notice.callout, "idempotency-conflict", "The key was first used with another input.")
            return
        self.joined += 1
        if isinstance(known, Execution):
            self._callers.wait(known, notice.callout, notice.wait_ms)
        elif isinstance(known, Final):
            self._callers.answers.append(ended(notice.callout, row.id, known))
        else:
            self._callers.refuse(notice.callout, "internal", "The execution is not known to the engine.")

    def _start(self, notice: _core.Execute, caller: Caller | None) -> None:
        definition = self._definitions.current(notice.workflow)
        if definition is None or not self._engine.startable:
            self._callers.refuse(
                notice.callout, "engine-unavailable", "No execution can be started now.", RETRY_AFTER_S
            )
            return
        if self._engine.full:
            self._callers.refuse(notice.callout, "overloaded", "Too many executions have not ended.", RETRY_AFTER_S)
            return
        if self._engine.room(definition.key) == "none":
            detail = f"As many executions of {definition.key} as may wait to begin."
            self._callers.refuse(notice.callout, "overloaded", detail, RETRY_AFTER_S)
            return
        key, print_ = (None, None) if caller is None else (caller[2], _fingerprint(notice.input))
        start = Start(definition.key, definition.version, definition.hash, notice.route, notice.consumer, key, print_)
        try:
            execution = self._engine.begin_execution(
                definition, notice.input, start, trace=notice.traceparent, token=notice.caller_token
            )
        except TooLarge as error:
            self._callers.refuse(notice.callout, "body-too-large", f"The workflow's {error}.")
        except ValueError:
            self._callers.refuse(notice.callout, "bad-request", "The workflow's input is not JSON.")
        else:
            self._callers.wait(execution, notice.callout, notice.wait_ms)

    def show(self, notice: _core.ShowExecution) -> None:
        execution = self._engine.open.get(notice.execution)
        if execution is not None:
            self._shown(notice, execution.row, running(execution))
        else:
            asked = self._history.ask(partial(self._history.shown, notice.execution))
            asked.add_done_callback(partial(self._read, notice))

    def _read(self, notice: _core.ShowExecution, asked: asyncio.Future[tuple[Row, Event] | None]) -> None:
        if asked.cancelled() or asked.exception() is not None:
            self._callers.refuse(notice.callout, "engine-unavailable", "The store cannot be read.", RETRY_AFTER_S)
        elif (found := asked.result()) is None:
            self._callers.refuse(notice.callout, "execution-not-found", "There is no such execution.")
        else:
            row, last = found
            self._shown(notice, row, status_of(row, last.at, row.status, last))
        self._engine.flush_soon()

    def _shown(self, notice: _core.ShowExecution, row: Row, status: Json) -> None:
        """Only to the consumer that started it, through a route of its workflow; to others it does not exist."""
        if row.consumer == notice.consumer and self.routes.get(notice.route) == row.workflow:
            self._callers.answers.append((notice.callout, "shown", row.id, status))
        else:
            self._callers.refuse(notice.callout, "execution-not-found", "There is no such execution.")


def _fingerprint(input: Json) -> str:
    return hashlib.sha256(canonical_json(input).encode()).hexdigest()
