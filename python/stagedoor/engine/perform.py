"""Carrying out what machines ask for: calls, timers, and entries in the log that nobody waits for."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from stagedoor import _core
from stagedoor.engine import activities
from stagedoor.engine.children import Children
from stagedoor.engine.conversation import Conversation, Notice, Outcome, Surroundings
from stagedoor.engine.execution import Execution, Final
from stagedoor.engine.functions import Functions
from stagedoor.engine.listeners import Listeners
from stagedoor.engine.parking import Parking
from stagedoor.engine.processes import Processes
from stagedoor.engine.reach import Reach
from stagedoor.engine.record import encode, encode_json
from stagedoor.engine.timers import Key, Timers
from stagedoor.workflow import commands as command
from stagedoor.workflow.events import (
    AttributesSet,
    CallCompleted,
    CallFailed,
    CallUnknown,
    CompensationRegistered,
    Event,
    EventEmitted,
    ExecutionCancelled,
    ExecutionCompleted,
    ExecutionFaulted,
    IncidentOpened,
)

MAX_BYTES = 1024 * 1024
"""The JSON of an input, or of one answer of a service."""

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
"""Their answers invalidate nothing."""

log = logging.getLogger("stagedoor.engine")


class Closed(Exception):
    """The engine sends nothing more."""


class Engine(Protocol):
    """What the performer tells: an event to append, and to feed once it is committed.
    ``outbox`` is an event for others, ``taken`` the one of the inbox that is handed over.

    ``data`` is the event as the log keeps it, where that is at hand."""

    def append(
        self,
        execution: Execution,
        event: Event,
        *,
        status: str | None = None,
        data: str | None = None,
        outbox: str | None = None,
        taken: int | None = None,
        incidents: int | None = None,
        attributes: dict[str, Any] | None = None,
    ) -> None: ...
    @property
    def children(self) -> Children: ...
    @property
    def listeners(self) -> Listeners: ...
    @property
    def parking(self) -> Parking: ...
    @property
    def processes(self) -> Processes: ...
    def end(self, execution: Execution, final: Final) -> None: ...
    def timer_fired(self, key: Key) -> None: ...
    def flush_soon(self) -> None: ...
    def broken(self, execution: Execution, failure: Exception) -> None: ...


class Performer:
    """``requests``, ``cancels`` and ``invalidated`` gather what one turn of the loop has for the data plane."""

    def __init__(self, engine: Engine, loop: asyncio.AbstractEventLoop, clock: Callable[[], float]) -> None:
        self.requests: list[activities.Request] = []
        self.cancels: list[int] = []
        self.around = Surroundings(self._exchange, clock)
        self.invalidated: set[str] = set()
        """Groups of stored responses."""
        self.functions = Functions(clock)
        self.sent = 0
        """Calls so far; also the number of the last."""
        self._engine, self._clock = engine, clock
        self._timers = Timers(loop, clock, engine.timer_fired)
        self._calls: dict[int, tuple[Execution, command.Call]] = {}
        self._conversations: dict[int, asyncio.Task[None]] = {}
        """By the number of the call."""
        self._exchanges: dict[int, asyncio.Future[Notice]] = {}
        """Requests of conversations, and for tokens."""
        self._closing = False
        self._methods: dict[type[command.Command], Callable[[Execution, Any], None]] = {
            command.Call: self._call,
            command.CancelCall: self._cancel_call,
            command.StartTimer: self._start_timer,
            command.CancelTimer: self._cancel_timer,
            command.RegisterCompensation: self._register,
            command.SetAttributes: self._set_attributes,
            command.Emit: self._emit,
            command.Subscribe: self._subscribe,
            command.Unsubscribe: self._unsubscribe,
            command.StartChild: self._start_child,
            command.CancelChild: self._cancel_child,
            command.UndoChild: self._undo_child,
            command.RunProcess: self._run_process,
            command.CancelProcess: self._cancel_process,
            command.OpenIncident: self._open_incident,
            command.Complete: self._conclude,
            command.Fault: self._conclude,
            command.Cancel: self._conclude,
        }

    @property
    def calls(self) -> int:
        """On their way."""
        return len(self._calls)

    @property
    def timers(self) -> int:
        return len(self._timers)

    def perform(self, execution: Execution, wanted: list[command.Command]) -> None:
        for each in wanted:
            self._methods[type(each)](execution, each)

    def close(self) -> None:
        """Send no more calls and fire no more timers: the machines ask again at the next start."""
        self._closing = True
        self.functions.close()
        self._timers.stop()

    def forget(self, execution: Execution) -> None:
        """Its calls on their way are no longer wanted."""
        for number in execution.calls.values():
            self._drop(number)
        execution.calls.clear()

    def use(self, reach: Reach) -> None:
        self.around.reach, self.functions.known = reach, reach.activities

    def answered(self, notice: _core.Answered) -> None:
        found = self._take(notice.call)
        if found is None:
            self._exchanged(notice)
            return
        execution, call = found
        self._outcome(execution, call, *activities.outcome(call, notice, self._clock()))

    def _outcome(self, execution: Execution, call: command.Call, event: Event, data: str) -> None:
        if len(data) > MAX_BYTES:
            detail = f"as JSON the answer is larger than {MAX_BYTES} bytes"
            event = CallUnknown(event.at, call.id, 502, "The service's answer is too large", detail)
            data = encode(event)
        if isinstance(event, CallCompleted) and 200 <= event.status < 400 and call.method.upper() not in SAFE:
            self._invalidate(execution, call)
        self._engine.append(execution, event, data=data)

    def _invalidate(self, execution: Execution, call: command.Call) -> None:
        """Before it is known that the call succeeded: after a crash in between it is repeated."""
        if execution.machine is not None:
            self.invalidated |= execution.machine.definition.invalidated_by(call.task)

    def unanswered(self, notice: _core.Unanswered) -> None:
        found = self._take(notice.call)
        if found is not None:
            execution, call = found
            self._engine.append(execution, activities.unanswered(call, notice, self._clock()))
        else:
            self._exchanged(notice)

    def _take(self, number: int) -> tuple[Execution, command.Call] | None:
        found = self._calls.pop(number, None)
        if found is not None:
            del found[0].calls[found[1].id]
        return found

    def _call(self, execution: Execution, call: command.Call) -> None:
        if self._closing:
            return
        if call.manner is not None:
            self._converse(execution, call)
            return
        number = self.sent + 1
        request = activities.request(call, number, execution.trace, self.around.reach, execution.caller_token)
        if isinstance(request, activities.Refused):
            failed = CallFailed(self._clock(), call.id, 502, request.title, request.detail)
            self._engine.append(execution, failed)
            return
        self.sent = number
        self._calls[number] = (execution, call)
        execution.calls[call.id] = number
        self.requests.append(request)

    def _drop(self, number: int) -> None:
        del self._calls[number]
        conversation = self._conversations.pop(number, None)
        if conversation is None:
            self.cancels.append(number)
        else:
            conversation.cancel()

    # Calls that take more than one request.

    def _converse(self, execution: Execution, call: command.Call) -> None:
        self.sent += 1
        number = self.sent
        self._calls[number] = (execution, call)
        execution.calls[call.id] = number
        if call.manner is not None and call.manner.activity:
            work = self.functions.run(call, execution.id)
            self._conversations[number] = asyncio.get_running_loop().create_task(self._follow(number, work))
            return
        declared = execution.machine.definition.secrets if execution.machine is not None else frozenset[str]()
        conversation = Conversation(call, self.around, declared, execution.trace, execution.caller_token)
        self._conversations[number] = asyncio.get_running_loop().create_task(self._follow(number, conversation.run()))

    async def _follow(self, number: int, work: Coroutine[Any, Any, Outcome]) -> None:
        try:
            event, data = await work
        except Closed:
            # Asked again at the next start.
            if self._take(number) is not None:
                del self._conversations[number]
        except Exception as failure:  # noqa: BLE001 - logged, and one execution's own
            found = self._take(number)
            if found is not None:
                del self._conversations[number]
                self._engine.broken(found[0], failure)
        else:
            found = self._take(number)
            if found is not None:
                del self._conversations[number]
                self._outcome(*found, event, encode(event) if data is None else data)
                self._engine.flush_soon()

    async def _exchange(self, request: activities.Request) -> Notice:
        if self._closing:
            raise Closed
        self.sent += 1
        number = self.sent
        answer: asyncio.Future[Notice] = asyncio.get_running_loop().create_future()
        self._exchanges[number] = answer
        self.requests.append((number, *request[1:]))
        self._engine.flush_soon()
        try:
            return await answer
        except asyncio.CancelledError:
            self.cancels.append(number)
            self._engine.flush_soon()
            raise
        finally:
            del self._exchanges[number]

    def _exchanged(self, notice: Notice) -> None:
        waiting = self._exchanges.get(notice.call)
        if waiting is not None and not waiting.done():
            waiting.set_result(notice)

    def _cancel_call(self, execution: Execution, wanted: command.CancelCall) -> None:
        number = execution.calls.pop(wanted.id, None)
        if number is not None:
            self._drop(number)

    def _start_timer(self, execution: Execution, timer: command.StartTimer) -> None:
        if not self._closing:
            self._timers.start((execution.id, timer.id), timer.at)
            self._engine.parking.resting(execution, timer.at)

    def wait_until(self, key: Key, at: float) -> None:
        if not self._closing:
            self._timers.start(key, at)

    def _cancel_timer(self, execution: Execution, timer: command.CancelTimer) -> None:
        self._timers.cancel((execution.id, timer.id))

    def _register(self, execution: Execution, wanted: command.RegisterCompensation) -> None:
        event = CompensationRegistered(self._clock(), wanted.task, wanted.arguments)
        self._engine.append(execution, event)

    def _set_attributes(self, execution: Execution, wanted: command.SetAttributes) -> None:
        event = AttributesSet(self._clock(), wanted.id, wanted.values)
        self._engine.append(execution, event, attributes=wanted.values)

    def _emit(self, execution: Execution, wanted: command.Emit) -> None:
        self._engine.append(
            execution, EventEmitted(self._clock(), wanted.id, wanted.event), outbox=encode_json(wanted.event)
        )

    def _subscribe(self, execution: Execution, wanted: command.Subscribe) -> None:
        if not self._closing:
            self._engine.listeners.add(execution, wanted)

    def _unsubscribe(self, execution: Execution, wanted: command.Unsubscribe) -> None:
        self._engine.listeners.remove(execution, wanted.id)

    def _start_child(self, execution: Execution, wanted: command.StartChild) -> None:
        if not self._closing:
            self._engine.children.start(execution, wanted)

    def _cancel_child(self, execution: Execution, wanted: command.CancelChild) -> None:
        self._engine.children.cancel(execution, wanted)

    def _undo_child(self, execution: Execution, wanted: command.UndoChild) -> None:
        if not self._closing:
            self._engine.children.undo(execution, wanted)

    def _run_process(self, execution: Execution, wanted: command.RunProcess) -> None:
        if not self._closing:
            self._engine.processes.run((execution.id, wanted.id), execution.row.workflow, wanted)

    def _cancel_process(self, execution: Execution, wanted: command.CancelProcess) -> None:
        self._engine.processes.cancel((execution.id, wanted.id))

    def _open_incident(self, execution: Execution, wanted: command.OpenIncident) -> None:
        event = IncidentOpened(self._clock(), wanted.id, wanted.task, wanted.error, wanted.arguments)
        execution.incidents.add(wanted.id)
        self._engine.append(execution, event, status="suspended", incidents=len(execution.incidents))
        where = {"execution": execution.id, "workflow": execution.row.workflow, "incident": wanted.id}
        log.warning("incident: the execution waits for an operator", extra=where)

    def _conclude(self, execution: Execution, wanted: command.Complete | command.Fault | command.Cancel) -> None:
        self._engine.end(execution, conclusion(wanted, self._clock()))


def conclusion(wanted: command.Complete | command.Fault | command.Cancel, at: float) -> Final:
    if isinstance(wanted, command.Complete):
        return ExecutionCompleted(at, wanted.output, wanted.undo)
    if isinstance(wanted, command.Fault):
        return ExecutionFaulted(at, wanted.error, wanted.compensation)
    return ExecutionCancelled(at, wanted.reason, wanted.compensation)
