"""Runs a machine against scripted services on a virtual clock, and keeps the log that an engine would keep."""

from __future__ import annotations

import asyncio
import heapq
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

from stagedoor.engine.processes import Confinement, Processes
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
    ProcessEnded,
    ProcessFailed,
    ResumeRequested,
    SuspendRequested,
    TimerFired,
    TurnTaken,
    UndoRequested,
)
from stagedoor.workflow.machine import Machine
from stand_in import Scene, stand_in

MAX_EVENTS = 500
MAX_TASKS = 3_000
"""Without waiting for anything."""
START = 1_700_000_000.0


@dataclass
class Driver:
    """``answers`` by task name, ``undo NAME`` for its undo; the last one repeats, the default is 200 and {}."""

    definition: Definition
    answers: dict[str, list[Any]] = field(default_factory=dict)
    operator: list[dict[str, Any]] = field(default_factory=list)
    cancel: dict[str, Any] | None = None
    arrivals: list[dict[str, Any]] = field(default_factory=list)
    """CloudEvents, each with ``after``: seconds from the start."""
    suspend: dict[str, Any] | None = None
    """``{after, until}`` in seconds from the start; without ``until`` for good."""
    scene: Scene | None = None
    """Calls are made, to these services; without it they are not made, and ``answers`` says what comes of them."""
    secrets: dict[str, Any] = field(default_factory=dict)
    workflows: list[Definition] = field(default_factory=list)
    """Others, that this one may run."""
    start: float = START
    name: Callable[[Call], str] = lambda call: task_name(call)
    """Of a call, in ``answers``."""

    def __post_init__(self) -> None:
        self.machine = Machine(self.definition)
        self.log: list[Event] = []
        self.commands: list[Command] = []
        self.outstanding: list[Command] = []
        self.owed: list[list[Command]] = []
        """After each event of the log: the commands that it leaves unanswered."""
        self._used: dict[str, int] = {}
        self._due: list[tuple[float, int, Any]] = []
        self._arrived: list[Any] = []
        self._sequence = 0
        self._now = self.start
        self._children: dict[str, Driver] = {}
        self.outlook: Any = None
        """What of it can be undone, now that it has completed."""

    def run(self, input: Any, parent: Any = None) -> Machine:
        started = ExecutionStarted(self._now, "e1", self.definition.hash, input, parent=parent)
        if self.cancel is not None:
            self._later(self.cancel.get("after", 0), lambda at: CancelRequested(at, self.cancel["reason"], "operator"))
        if self.suspend is not None:
            self._later(self.suspend["after"], lambda at: SuspendRequested(at, "hold on", "ann"))
            if "until" in self.suspend:
                self._later(self.suspend["until"], lambda at: ResumeRequested(at, "go on", "ann"))
        for number, arrival in enumerate(self.arrivals):
            event = {"specversion": "1.0", "id": str(number), "source": "/test", **arrival}
            self._later(event.pop("after", 1), lambda at, event=event: event)
        self._feed(started)
        self._play()
        return self.machine

    def go_on(self, machine: Machine, log: list[Event]) -> None:
        """From where a history has led a machine."""
        self.machine, self.log, self._now = machine, log, log[-1].at
        self.outstanding = machine.pending()
        for command in list(self.outstanding):
            self._carry_out(command)
        self._play()

    def _play(self) -> None:
        while self._due and len(self.log) < MAX_EVENTS:
            at, _, event = heapq.heappop(self._due)
            if isinstance(event, dict):
                self._now = at
                if event:
                    self._arrived.append(event)
                self._deliver()
            elif self._wanted(event):
                self._now = at
                self._feed(event)

    def _deliver(self) -> None:
        """Whatever has arrived, to every listener that wants it."""
        for event in self._arrived:
            for command in list(self.outstanding):
                if isinstance(command, Subscribe) and self.machine.wants(command.id, event):
                    self._feed(EventReceived(self._now, command.id, event))

    def _feed(self, event: Event) -> None:
        self._append(event)
        for command in self.machine.feed(event):
            self.commands.append(command)
            if isinstance(command, CancelChild) and self.machine.draining:
                self.outstanding = [
                    command if getattr(other, "id", None) == command.id else other for other in self.outstanding
                ]
                continue
            if isinstance(command, CancelCall | CancelTimer | Unsubscribe | CancelChild | CancelProcess):
                self.outstanding = [other for other in self.outstanding if getattr(other, "id", None) != command.id]
                continue
            if isinstance(command, Complete | Fault | Cancel):
                self.outstanding = [
                    other for other in self.outstanding if not isinstance(other, OpenIncident | TakeTurn)
                ]
            self.outstanding.append(command)
        self.owed[-1] = list(self.outstanding)
        for command in list(self.outstanding):
            self._carry_out(command)

    def _carry_out(self, command: Command) -> None:
        match command:
            case RegisterCompensation(task, arguments):
                self._append(CompensationRegistered(self._now, task, arguments), command)
            case SetAttributes(id, values):
                self._append(AttributesSet(self._now, id, values), command)
            case Emit(id, _, event):
                self._append(EventEmitted(self._now, id, event), command)
                self._later(0, lambda at: event)
            case Subscribe() if command.id not in self._used:
                self._used[command.id] = 1
                self._later(0, lambda at: {})
            case OpenIncident(id, task, error, arguments) if not any(
                isinstance(event, IncidentOpened) and event.incident == id for event in self.log
            ):
                self._append(IncidentOpened(self._now, id, task, error, arguments), command)
                if self.operator:
                    word = self.operator.pop(0)
                    self._later(
                        1.0,
                        lambda at: IncidentResolved(at, id, word["action"], "ann", "told so", word.get("arguments")),
                    )
            case Complete(output, undo):
                self.outlook = undo
                self._append(ExecutionCompleted(self._now, output, undo), command)
            case Fault(error, compensation):
                self._append(ExecutionFaulted(self._now, error, compensation), command)
            case Cancel(reason, compensation):
                self._append(ExecutionCancelled(self._now, reason, compensation), command)
            case Call() if command.id not in self._used:
                self._used[command.id] = 1
                self._answer(command)
            case StartChild() | RunProcess() if command.id not in self._used:
                self._used[command.id] = 1
                self._run(command)
            case UndoChild() if command.id not in self._used:
                self._used[command.id] = 1
                self._undo(command)
            case CancelChild(id) if f"cancel {id}" not in self._used:
                self._used[f"cancel {id}"] = 1
                self._later(2, lambda at: ChildEnded(at, id, "cancelled", error={"title": "Cancelled"}))
            case TakeTurn(id) if id not in self._used:
                self._used[id] = 1
                tired = self.machine.tasks >= MAX_TASKS
                self._later(0, lambda at: LimitReached(at, "tasks", MAX_TASKS) if tired else TurnTaken(at, id))
            case StartTimer(id, at) if id not in self._used:
                self._used[id] = 1
                self._later(at - self._now, lambda at: TimerFired(at, id))

    def _answer(self, call: Call) -> None:
        if self.scene is not None:
            outcome, after = stand_in().call(call, self.scene, self.secrets)
            self._later(after, lambda at: replace(outcome, at=at))
            return
        name = self.name(call)
        scripted = self.answers.get(name, [200])
        number = self._used.get(name, 0)
        self._used[name] = number + 1
        answer = scripted[min(number, len(scripted) - 1)]
        if answer == "never":
            return
        if isinstance(answer, int):
            answer = {"status": answer}
        after = answer.get("after", 0.01)
        if "unknown" in answer:
            self._later(after, lambda at: CallUnknown(at, call.id, answer["unknown"], "No answer", "it took too long"))
        elif "failed" in answer:
            self._later(after, lambda at: CallFailed(at, call.id, answer["failed"], "Not sent", "no endpoint"))
        else:
            headers = answer.get("headers", {})
            content = answer.get("content", {} if answer["status"] < 300 else None)
            self._later(after, lambda at: CallCompleted(at, call.id, answer["status"], content, headers))

    def _run(self, command: StartChild | RunProcess) -> None:
        if self.scene is not None:
            self._really(command)
            return
        id, scripted = command.id, self.answers.get(last(command.task), [{}])
        number = self._used[last(command.task)] = self._used.get(last(command.task), 0) + 1
        answer = dict(scripted[min(number, len(scripted)) - 1])
        after = answer.pop("after", 1)
        if isinstance(command, StartChild):
            self._later(0.5, lambda at: ChildStarted(at, id, command.child))
            if command.awaited:
                self._later(
                    after, lambda at: ChildEnded(at, id, answer.get("status", "completed"), **answer.get("end", {}))
                )
        elif "failed" in answer:
            self._later(after, lambda at: ProcessFailed(at, id, 500, answer["failed"], "why", True))
        else:
            code, out, err = answer.get("code", 0), answer.get("stdout", ""), answer.get("stderr", "")
            self._later(after, lambda at: ProcessEnded(at, id, code, out, err))

    def _undo(self, command: UndoChild) -> None:
        """Of a child that was really run: by itself. Of another one: as ``undo NAME`` says, else all of it is."""
        child = self._children.get(command.child)
        if child is not None:
            report, after = child.undo(command.id)
        else:
            scripted = self.answers.get(f"undo {last(command.task)}", [{}])
            number = self._used[f"undo {command.task}"] = self._used.get(f"undo {command.task}", 0) + 1
            report, after = dict(scripted[min(number, len(scripted)) - 1]), 1.0
        error = report.get("error")
        told = None if error else {"status": "complete", "entries": []} | report
        self._later(after, lambda at: ChildUndone(at, command.id, told, error))

    def undo(self, run: str) -> tuple[Any, float]:
        """Its report, and how long it takes."""
        begun = self._now
        self._feed(UndoRequested(self._now, "undone by whoever ran it", run, "e1"))
        self._play()
        return self.machine.saga.report(), self._now - begun

    def _really(self, command: StartChild | RunProcess) -> None:
        """The other workflow, or the process, to its end: now, and told at the time when it would have ended."""
        id = command.id
        if isinstance(command, RunProcess):
            ended = process(command)
            self._later(0.1, lambda at: replace(ended, at=at))
            return
        [definition] = [each for each in self.workflows if each.key == command.workflow]
        child = Driver(definition, scene=self.scene, secrets=self.secrets, workflows=self.workflows, start=self._now)
        self._children[command.child] = child
        machine = child.run(command.input, parent={"execution": self.machine.execution, "run": id, "depth": 1})
        self._later(0, lambda at: ChildStarted(at, id, command.child))
        if command.awaited and machine.status in ("completed", "faulted", "cancelled"):
            self._later(
                child._now - self._now,
                lambda at: ChildEnded(at, id, machine.status, machine.output, machine.error, child.outlook),
            )

    def _later(self, after: float, make: Any) -> None:
        self._sequence += 1
        at = self._now + after
        heapq.heappush(self._due, (at, self._sequence, make(at)))

    def _wanted(self, event: Event) -> bool:
        identifier = _of(event)
        return identifier is None or any(getattr(command, "id", None) == identifier for command in self.outstanding)

    def _append(self, event: Event, answers: Command | None = None) -> None:
        self.log.append(event)
        if isinstance(event, LimitReached):
            self.outstanding = [other for other in self.outstanding if not isinstance(other, TakeTurn)]
        identifier = _of(event) or getattr(event, "incident", None)
        for command in self.outstanding:
            if isinstance(event, ChildStarted) and getattr(command, "awaited", True):
                continue
            if command is answers or (identifier is not None and getattr(command, "id", None) == identifier):
                self.outstanding.remove(command)
                break
        self.owed.append(list(self.outstanding))


def process(command: RunProcess) -> ProcessEnded | ProcessFailed:
    """What became of it, run as the engine runs it."""
    programs = {"shell": "/bin/sh", "python": sys.executable}
    ended: list[ProcessEnded | ProcessFailed] = []

    async def run() -> None:
        done = asyncio.Event()
        processes = Processes(lambda: 0.0, lambda key, event: (ended.append(event), done.set()))
        processes.allowed = {
            name: Confinement(program, frozenset({"any"}), 20.0, 20, 1 << 30, 1 << 20, 256)
            for name, program in programs.items()
        }
        processes.run(("execution", command.id), "any", command)
        await done.wait()

    asyncio.run(run())
    return ended[0]


def _of(event: Event) -> str | None:
    """The id of the command that it answers, if only one that waits may be answered."""
    return next((getattr(event, name) for name in ("call", "timer", "run", "turn") if hasattr(event, name)), None)


def task_name(call: Call) -> str:
    if call.compensates is not None:
        return f"undo {last(call.compensates)}"
    return last(call.task)


def last(reference: str) -> str:
    return reference.rpartition("/")[2].replace("~1", "/").replace("~0", "~")
