"""Carrying out what machines ask for: calls, timers, and entries in the log that nobody waits for."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any, NamedTuple, Protocol

from stagedoor import _core
from stagedoor.engine import activities
from stagedoor.engine.children import Children
from stagedoor.engine.conversation import Conversation, Notice, Outcome, Surroundings
from stagedoor.engine.execution import Execution, Final
from stagedoor.engine.functions import THREADS, Functions
from stagedoor.engine.limits import QUEUE, Limits, Share
from stagedoor.engine.listeners import Listeners
from stagedoor.engine.parking import Parking
from stagedoor.engine.processes import Processes
from stagedoor.engine.reach import Reach
from stagedoor.engine.record import encode, encode_json
from stagedoor.engine.slots import Slots
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
    LimitReached,
    TurnTaken,
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


class Sent(NamedTuple):
    """A call on its way, and where it holds a slot."""

    execution: Execution
    call: command.Call
    slots: Slots | None


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
        self._calls: dict[int, Sent] = {}
        self.limits = Limits()
        self.recovering = False
        """What waited before is asked for again: it waits however many do."""
        self.clusters: dict[str, Slots] = {}
        """Slots for calls, by cluster."""
        self.local = {
            "functions": Slots("functions", "", self.limits.functions, clock),
            "threads": Slots("threads", "", Share(THREADS, QUEUE), clock),
        }
        """For Python functions: coroutines, and those in threads."""
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
            command.TakeTurn: self._take_turn,
            command.Complete: self._conclude,
            command.Fault: self._conclude,
            command.Cancel: self._conclude,
        }

    @property
    def calls(self) -> int:
        """On their way."""
        return len(self._calls)

    @property
    def waiting(self) -> int:
        """Calls that wait for a slot."""
        return sum(each.waiting for each in (*self.clusters.values(), *self.local.values()))

    @property
    def refused(self) -> int:
        return sum(each.refused for each in (*self.clusters.values(), *self.local.values()))

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
        """Its calls, on their way or not, are no longer wanted."""
        for number in execution.calls.values():
            self._drop(number)
        execution.calls.clear()
        for id, slots in execution.queued.items():
            slots.leave((execution.id, id))
        execution.queued.clear()

    def use(self, reach: Reach, limits: Limits) -> None:
        self.around.reach, self.functions.known, self.limits = reach, reach.activities, limits
        for name, slots in self.clusters.items():
            slots.use(limits.cluster(name))
        self.local["functions"].use(limits.functions)

    def slots_of(self, execution: Execution, id: str) -> Slots | None:
        """Where a call of the execution holds or waits for a slot."""
        number = execution.calls.get(id)
        return execution.queued.get(id) if number is None else self._calls[number].slots

    def answered(self, notice: _core.Answered) -> None:
        found = self._take(notice.call)
        if found is None:
            self._exchanged(notice)
            return
        execution, call, _ = found
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
            execution, call, _ = found
            self._engine.append(execution, activities.unanswered(call, notice, self._clock()))
        else:
            self._exchanged(notice)

    def _take(self, number: int) -> Sent | None:
        found = self._calls.pop(number, None)
        if found is not None:
            del found.execution.calls[found.call.id]
            if found.slots is not None:
                found.slots.leave((found.execution.id, found.call.id))
        return found

    def _call(self, execution: Execution, call: command.Call) -> None:
        if self._closing:
            return
        if call.manner is not None:
            slots = self._slots(call)
            if slots is None or self._held(execution, call, slots):
                self._converse(execution, call, slots)
            return
        request = self._request(execution, call)
        if request is not None:
            slots = self._cluster(request[1])
            if self._held(execution, call, slots):
                self._send(execution, call, slots, request)

    def _request(self, execution: Execution, call: command.Call) -> activities.Request | None:
        """With the number of the next call; None if it cannot be sent, which its machine is told."""
        request = activities.request(call, self.sent + 1, execution.trace, self.around.reach, execution.caller_token)
        if not isinstance(request, activities.Refused):
            return request
        self._engine.append(execution, CallFailed(self._clock(), call.id, 502, request.title, request.detail))
        return None

    def _send(self, execution: Execution, call: command.Call, slots: Slots, request: activities.Request) -> None:
        self.sent += 1
        self._calls[self.sent] = Sent(execution, call, slots)
        execution.calls[call.id] = self.sent
        self.requests.append(request)

    # Slots.

    def _cluster(self, name: str) -> Slots:
        slots = self.clusters.get(name)
        if slots is None:
            slots = self.clusters[name] = Slots("cluster", name, self.limits.cluster(name), self._clock)
        return slots

    def _slots(self, call: command.Call) -> Slots | None:
        """None: it will not be sent."""
        if call.manner is not None and call.manner.activity:
            activity = self.functions.known.get(call.endpoint.removeprefix("activity://"))
            return self.local["functions" if activity is not None and activity.is_coroutine else "threads"]
        try:
            where = activities.place(call.endpoint, self.around.reach)
        except UnicodeEncodeError:
            return None
        return None if isinstance(where, activities.Refused) else self._cluster(where[0])

    def _held(self, execution: Execution, call: command.Call, slots: Slots) -> bool:
        """Whether the call has a slot. Otherwise it waits for one, or has failed because too many do."""
        key = (execution.id, call.id)
        if slots.hold(key):
            return True
        # An undo that waits long is better than one that fails.
        always = self.recovering or call.compensates is not None
        if slots.queue(key, partial(self._begin, execution, call, slots), always=always):
            execution.queued[call.id] = slots
        else:
            detail = f"{slots.waiting} calls wait for their turn already"
            self._engine.append(execution, CallFailed(self._clock(), call.id, 503, "Too many calls wait", detail))
        return False

    def _begin(self, execution: Execution, call: command.Call, slots: Slots) -> None:
        """It has a slot now."""
        execution.queued.pop(call.id, None)
        begun = False
        if not self._closing and execution.broken is None and execution.final is None:
            try:
                if call.manner is not None:
                    self._converse(execution, call, slots)
                    begun = True
                elif (request := self._request(execution, call)) is not None:
                    self._send(execution, call, slots, request)
                    begun = True
            except Exception as failure:  # noqa: BLE001 - logged, and one execution's own
                self._engine.broken(execution, failure)
        if not begun:
            slots.leave((execution.id, call.id))
        self._engine.flush_soon()

    def _drop(self, number: int) -> None:
        found = self._calls.pop(number)
        if found.slots is not None:
            found.slots.leave((found.execution.id, found.call.id))
        conversation = self._conversations.pop(number, None)
        if conversation is None:
            self.cancels.append(number)
        else:
            conversation.cancel()

    # Calls that take more than one request.

    def _converse(self, execution: Execution, call: command.Call, slots: Slots | None) -> None:
        self.sent += 1
        number = self.sent
        self._calls[number] = Sent(execution, call, slots)
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
                self._engine.broken(found.execution, failure)
        else:
            found = self._take(number)
            if found is not None:
                del self._conversations[number]
                self._outcome(found.execution, found.call, event, encode(event) if data is None else data)
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
        elif (slots := execution.queued.pop(wanted.id, None)) is not None:
            slots.leave((execution.id, wanted.id))

    def _start_timer(self, execution: Execution, timer: command.StartTimer) -> None:
        if not self._closing:
            longest = math.inf if execution.machine is None else execution.machine.longest(timer)
            self._timers.start((execution.id, timer.id), timer.at, longest)
            self._engine.parking.resting(execution, timer.at)

    def wait_until(self, key: Key, at: float, longest: float) -> None:
        if not self._closing:
            self._timers.start(key, at, longest)

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
            key = (execution.id, wanted.id)
            self._engine.processes.run(key, execution.row.workflow, wanted, always=self.recovering)

    def _cancel_process(self, execution: Execution, wanted: command.CancelProcess) -> None:
        self._engine.processes.cancel((execution.id, wanted.id))

    def _open_incident(self, execution: Execution, wanted: command.OpenIncident) -> None:
        event = IncidentOpened(self._clock(), wanted.id, wanted.task, wanted.error, wanted.arguments)
        execution.incidents.add(wanted.id)
        self._engine.append(execution, event, status="suspended", incidents=len(execution.incidents))
        where = {"execution": execution.id, "workflow": execution.row.workflow, "incident": wanted.id}
        log.warning("incident: the execution waits for an operator", extra=where)

    def _take_turn(self, execution: Execution, wanted: command.TakeTurn) -> None:
        if self._closing:
            return
        tasks, machine = self.limits.tasks, execution.machine
        event: Event = TurnTaken(self._clock(), wanted.id)
        if machine is not None and machine.tasks >= tasks:
            event = LimitReached(self._clock(), "tasks", tasks)
        self._engine.append(execution, event)

    def _conclude(self, execution: Execution, wanted: command.Complete | command.Fault | command.Cancel) -> None:
        self._engine.end(execution, conclusion(wanted, self._clock()))


def conclusion(wanted: command.Complete | command.Fault | command.Cancel, at: float) -> Final:
    if isinstance(wanted, command.Complete):
        return ExecutionCompleted(at, wanted.output, wanted.undo)
    if isinstance(wanted, command.Fault):
        return ExecutionFaulted(at, wanted.error, wanted.compensation)
    return ExecutionCancelled(at, wanted.reason, wanted.compensation)
