"""Runs one case: a machine, the case's services, and a clock that jumps to whatever happens next."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from typing import Any

from stagedoor.engine.record import decode, encode
from stagedoor.errors import StagedoorError
from stagedoor.testing.case import Answer, Case, Suspension
from stagedoor.testing.outcome import Outcome
from stagedoor.testing.services import NoAnswer, Services, task_name
from stagedoor.workflow.commands import (
    Call,
    Cancel,
    CancelCall,
    CancelChild,
    CancelProcess,
    CancelTimer,
    Command,
    Complete,
    Emit,
    Fault,
    OpenIncident,
    RegisterCompensation,
    RunProcess,
    SetAttributes,
    StartChild,
    StartTimer,
    Subscribe,
    TakeTurn,
    UndoChild,
    Unsubscribe,
)
from stagedoor.workflow.definition import Definition
from stagedoor.workflow.events import (
    AttributesSet,
    CallCompleted,
    CallFailed,
    CallUnknown,
    CancelRequested,
    ChildEnded,
    ChildStarted,
    ChildUndone,
    CompensationRegistered,
    Event,
    EventEmitted,
    EventReceived,
    ExecutionCancelled,
    ExecutionCompleted,
    ExecutionFaulted,
    ExecutionStarted,
    IncidentOpened,
    IncidentResolved,
    LimitReached,
    Outlook,
    ProcessEnded,
    ProcessFailed,
    ResumeRequested,
    SuspendRequested,
    TimerFired,
    TurnTaken,
)
from stagedoor.workflow.limit import MAX_TASKS
from stagedoor.workflow.machine import Machine

MAX_EVENTS = 100_000
"""Events of one case: more is taken for a workflow that does not end."""

ENDED = (ExecutionCompleted, ExecutionFaulted, ExecutionCancelled)
Json = Any
Due = tuple[float, int, str | None, Callable[[float], Event | Json]]
"""When, in which order of those at the same time, the command it answers, and what happens then."""


class RehearsalFailed(StagedoorError):
    """A case that cannot be played to its end."""


class Crash(Exception):
    """The process is gone; the log is not."""


def rehearse(definition: Definition, case: Case) -> Outcome:
    """Plays a case until nothing more happens. Raises ``RehearsalFailed``."""
    return Rehearsal(definition, case).run()


class Rehearsal:
    """``crash_after``: the number of events in the log after which the machine is lost once and recovered from it."""

    def __init__(self, definition: Definition, case: Case, crash_after: int | None = None) -> None:
        self.definition, self.case = definition, case
        self.log: list[Event] = []
        self._crash_after = crash_after
        self._services = Services(case)
        self._machine = Machine(definition)
        self._calls: dict[str, Call] = {}
        self._words = list(case.operator)
        self._emitted: dict[str, Json] = {}
        self._arrived: list[Json] = []
        self._subscriptions: dict[str, None] = {}
        self._listeners: set[str] = set()
        """All that ever began."""
        self._now = case.at
        self._number = 0
        self._due: list[Due] = []
        self._outside: list[Due] = []
        """What happens whether or not there is a process."""

    def run(self) -> Outcome:
        case = self.case
        if case.cancel is not None:
            reason = case.cancel.reason
            self._later(case.cancel.after, None, lambda at: CancelRequested(at, reason, "case"), self._outside)
        for held in case.suspend:
            self._hold(held)
        for arrival in case.events:
            self._later(arrival.after, None, lambda at, event=arrival.event: event, self._outside)  # type: ignore[misc]
        started = ExecutionStarted(self._now, "rehearsal", self.definition.hash, case.input, case.consumer)
        try:
            self._attempt(lambda: self._happen(started))
            while not isinstance(self.log[-1], ENDED) and (event := self._next()) is not None:
                if len(self.log) >= MAX_EVENTS:
                    raise RehearsalFailed(f"{case.name}: more than {MAX_EVENTS:,} events without an end")
                self._attempt(lambda event=event: self._take(event))  # type: ignore[misc]
        except NoAnswer as error:
            raise RehearsalFailed(f"{case.name}: {error}") from None
        return self._outcome()

    def _hold(self, held: Suspension) -> None:
        self._later(held.after, None, lambda at: SuspendRequested(at, held.reason, "case"), self._outside)
        if held.lasts is not None:
            until = held.after + held.lasts
            self._later(until, None, lambda at: ResumeRequested(at, held.reason, "case"), self._outside)

    def _attempt(self, step: Callable[[], None]) -> None:
        try:
            step()
        except Crash:
            self._recover()

    def _recover(self) -> None:
        """As the engine does at its start: read the log, feed all of it, carry out what has no outcome."""
        self._due.clear()
        self._subscriptions.clear()
        self._machine = Machine(self.definition)
        for event in self.log:
            self._machine.feed(decode(type(event).__name__, event.at, encode(event)))
        if not isinstance(self.log[-1], ENDED):
            for command in self._machine.pending():
                self._carry_out(command)
            self._deliver()

    def _next(self) -> Event | Json | None:
        """Moves the clock to whatever happens next. None: nothing does."""
        heaps = [heap for heap in (self._due, self._outside) if heap]
        if not heaps:
            return None
        at, _, _, make = heapq.heappop(min(heaps))
        self._now = max(self._now, at)
        return make(self._now)

    def _take(self, event: Event | Json) -> None:
        """An event of the execution, or a CloudEvent for whoever listens."""
        if isinstance(event, dict):
            self._arrived.append(event)
        else:
            if isinstance(event, EventEmitted) and event.event not in self._arrived:
                # What it emits reaches its own listeners too.
                self._arrived.append(event.event)
            self._happen(event)
        self._deliver()

    def _deliver(self) -> None:
        """What has arrived, oldest first, to every listener that wants it; one that begins meanwhile begins with the
        oldest."""
        known: set[str] | None = None
        while known != self._listeners:
            known = set(self._listeners)
            self._hand_over(known)

    def _hand_over(self, known: set[str]) -> None:
        for event in self._arrived:
            for listener in list(self._subscriptions):
                if self._machine.wants(listener, event):
                    self._happen(EventReceived(self._now, listener, event))
                    if self._listeners != known:
                        return

    def _happen(self, event: Event) -> None:
        self._append(event)
        for command in self._machine.feed(event):
            self._carry_out(command)

    def _append(self, event: Event) -> None:
        self.log.append(event)
        if self._crash_after == len(self.log):
            self._crash_after = None
            raise Crash

    def _carry_out(self, command: Command) -> None:
        match command:
            case Call():
                self._call(command)
            case StartTimer(id, at):
                self._later(at - self._now, id, lambda at: TimerFired(at, id))
            case CancelCall(id) | CancelTimer(id) | CancelProcess(id):
                self._due = [each for each in self._due if each[2] != id]
                heapq.heapify(self._due)
            case Emit(id, _, event):
                self._emitted[id] = event
                self._later(0.0, id, lambda at: EventEmitted(at, id, event))
            case CancelChild(id):
                self._due = [each for each in self._due if each[2] != id]
                heapq.heapify(self._due)
                self._later(0.0, id, lambda at: ChildEnded(at, id, "cancelled"))
            case Subscribe(id):
                self._subscriptions[id] = None
                self._listeners.add(id)
            case Unsubscribe(id):
                self._subscriptions.pop(id, None)
            case StartChild():
                self._child(command)
            case UndoChild():
                self._undo_child(command)
            case RunProcess():
                self._process(command)
            case RegisterCompensation(task, arguments):
                self._append(CompensationRegistered(self._now, task, arguments))
            case SetAttributes(id, values):
                self._append(AttributesSet(self._now, id, values))
            case OpenIncident():
                self._open(command)
            case TakeTurn(id) if self._machine.tasks < MAX_TASKS:
                self._later(0.0, id, lambda at: TurnTaken(at, id))
            case TakeTurn():
                self._later(0.0, None, lambda at: LimitReached(at, "tasks", MAX_TASKS))
            case Complete(output):
                self._append(ExecutionCompleted(self._now, output))
            case Fault(error, compensation):
                self._append(ExecutionFaulted(self._now, error, compensation))
            case Cancel(reason, compensation):
                self._append(ExecutionCancelled(self._now, reason, compensation))
            case _:
                raise RehearsalFailed(f"{self.case.name}: {type(command).__name__} cannot be rehearsed")

    def _call(self, call: Call) -> None:
        self._calls.setdefault(call.id, call)
        answer = self._services.answer(call)
        if answer.kind != "never":
            self._later(answer.after, call.id, lambda at: _event(call, answer, at))

    def _child(self, wanted: StartChild) -> None:
        """Another workflow: an answer below 300 is its output, any other its error."""
        if not wanted.awaited:
            self._later(0.0, wanted.id, lambda at: ChildStarted(at, wanted.id, wanted.child))
            return
        answer = self._services.answer_to(wanted.id, wanted.task, wanted.workflow, {"input": wanted.input})
        if answer.kind == "status" and answer.status < 300:
            undo: Outlook | None = "due" if self._services.undoes(wanted.task) else None
            self._later(
                answer.after,
                wanted.id,
                lambda at: ChildEnded(at, wanted.id, "completed", answer.content, undo=undo),
            )
        elif answer.kind != "never":
            error = {"type": "about:blank", "status": answer.status, "title": "Faulted"}
            told = error | answer.content if isinstance(answer.content, dict) else error
            self._later(answer.after, wanted.id, lambda at: ChildEnded(at, wanted.id, "faulted", None, told))

    def _undo_child(self, wanted: UndoChild) -> None:
        """Below 300 what the other workflow did is undone, by any other it cannot be."""
        data = {"execution": wanted.child}
        answer = self._services.answer_to(wanted.id, wanted.task, "its undo", data, undone=wanted.task)
        if answer.kind == "never":
            return
        error = None
        report: Json = {"status": "complete", "entries": []}
        if answer.kind != "status" or answer.status >= 300:
            error = {"type": "about:blank", "status": answer.status, "title": "Not undone"}
            report = None
        self._later(answer.after, wanted.id, lambda at: ChildUndone(at, wanted.id, report, error))

    def _process(self, wanted: RunProcess) -> None:
        """A script or a shell command: its content is what it prints, or ``{code, stdout, stderr}``."""
        request = {"arguments": wanted.arguments, "environment": wanted.environment, "stdin": wanted.stdin}
        answer = self._services.answer_to(wanted.id, wanted.task, wanted.language, request)
        if answer.kind == "never":
            return
        if answer.kind != "status":
            begun = answer.kind == "unknown"
            detail = "the case says so"
            self._later(
                answer.after,
                wanted.id,
                lambda at: ProcessFailed(at, wanted.id, answer.status, "Not run", detail, begun),
            )
            return
        said = answer.content if isinstance(answer.content, dict) else {"stdout": answer.content or ""}
        parts = (int(said.get("code", 0)), str(said.get("stdout", "")), str(said.get("stderr", "")))
        self._later(answer.after, wanted.id, lambda at: ProcessEnded(at, wanted.id, *parts))

    def _open(self, wanted: OpenIncident) -> None:
        word = self._words.pop(0) if self._words else None
        if word is not None:
            self._later(
                word.after,
                None,
                lambda at: IncidentResolved(at, wanted.id, word.action, "operator", "the case says so", word.arguments),
                self._outside,
            )
        self._append(IncidentOpened(self._now, wanted.id, wanted.task, wanted.error, wanted.arguments))

    def _later(
        self,
        after: float,
        id: str | None,
        make: Callable[[float], Event | Json],
        heap: list[Due] | None = None,
    ) -> None:
        self._number += 1
        heapq.heappush(self._due if heap is None else heap, (self._now + max(after, 0.0), self._number, id, make))

    def _outcome(self) -> Outcome:
        machine = self._machine
        return Outcome(
            status=machine.status,
            output=machine.output,
            error=machine.error,
            compensation=machine.saga.report() if machine.saga.begun else {"status": "none", "entries": []},
            calls=tuple(_shown(call) for call in self._calls.values()),
            emitted=tuple(self._emitted.values()),
            timeline=tuple(machine.timeline()),
            waiting=tuple(reason.text() for reason in machine.waiting()),
            incidents=tuple(event.task for event in self.log if isinstance(event, IncidentOpened)),
            history=tuple(self.log),
            attributes=machine.attributes,
            took=self.log[-1].at - self.log[0].at,
        )


def _event(call: Call, answer: Answer, at: float) -> Event:
    if answer.kind == "failed":
        return CallFailed(at, call.id, answer.status, "Not sent", "the case says that the service is not reached")
    if answer.kind == "unknown":
        return CallUnknown(at, call.id, answer.status, "No answer", "the case says that no answer comes")
    headers = dict(answer.headers) if call.output == "response" else {}
    return CallCompleted(at, call.id, answer.status, answer.content, headers)


def _shown(call: Call) -> dict[str, Json]:
    return {
        "call": f"{call.method} {call.endpoint}",
        "task": call.task,
        "name": task_name(call.task if call.compensates is None else call.compensates),
        "compensates": call.compensates,
        "key": call.idempotency_key,
        "query": call.query,
        "headers": call.headers,
        "body": call.body,
    }
