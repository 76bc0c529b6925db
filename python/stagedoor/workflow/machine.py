"""The machine: feed it what has happened, it says what to do next. Its state is the fold of its events.

No I/O, clock or randomness. Feeding a history again yields the same state and the same commands, so recovery is: feed
every event of the log, or ``restore`` a snapshot and feed those behind it, then carry out ``pending()``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from stagedoor.workflow import snapshot
from stagedoor.workflow.answers import Answers
from stagedoor.workflow.commands import (
    Cancel,
    Command,
    Complete,
    Fault,
    SetAttributes,
    StartTimer,
)
from stagedoor.workflow.definition import Definition
from stagedoor.workflow.error import Failure, ReplayMismatch
from stagedoor.workflow.events import (
    RULES,
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
    ExecutionAdmitted,
    ExecutionCancelled,
    ExecutionCompleted,
    ExecutionFaulted,
    ExecutionMigrated,
    ExecutionRestarted,
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
from stagedoor.workflow.frame import Strand
from stagedoor.workflow.limit import reached
from stagedoor.workflow.saga import Saga

Json = Any


class Machine(Answers):
    """One execution of one definition."""

    __slots__ = ()

    def __init__(self, definition: Definition, began: str | None = None) -> None:
        """``began`` is the hash of the definition that the execution began by, where it was migrated to this one."""
        super().__init__(definition, began)
        self.saga = Saga(self, definition.saga)

    def feed(self, event: Event, enough: Callable[[], bool] | None = None) -> list[Command]:
        """Raises ``ReplayMismatch`` if the event cannot have happened in this execution. ``enough`` is asked before
        each further task: when it says so, the machine stops and is ``busy``. That changes nothing but the time."""
        handler = _HANDLERS.get(type(event))
        if handler is None:
            raise ReplayMismatch(f"{type(event).__name__} is not an event")
        if (self.started is None) is not (type(event) is ExecutionStarted):
            raise ReplayMismatch(f"{type(event).__name__} is out of place: an execution is started once, and first")
        if self.busy:
            self._run(None)
        self.now = event.at
        self._fed += 1
        self._transitions = 0
        if self._turn is None:
            self._begun = 0
        handler(self, event)
        return self.go_on(enough)

    def go_on(self, enough: Callable[[], bool] | None = None) -> list[Command]:
        """What is left of the last event, where the machine is ``busy``."""
        self._run(enough)
        commands, self._out = self._out, []
        return commands

    def snapshot(self) -> Json:
        """The state between two events, as JSON: ``restore`` goes on from it as if all events so far were fed again."""
        return snapshot.write(self)

    @classmethod
    def restore(cls, definition: Definition, state: Json) -> Machine:
        """Raises ``SnapshotUnreadable`` if it was taken by another definition, or has a form that is not known."""
        machine = cls(definition)
        snapshot.read(machine, state, RULES)
        return machine

    # What happens to the execution as a whole

    def _on_started(self, event: ExecutionStarted) -> None:
        definition = self.definition
        if event.definition != self.began:
            raise ReplayMismatch(f"the execution began with another version of {definition.key}")
        if event.engine > RULES:
            raise ReplayMismatch(f"the execution began with rules {event.engine}, this machine knows up to {RULES}")
        self.started = event
        self.execution = event.execution
        origin = event.resumes
        if origin is not None:
            # What was done before the restart was done under that id, and has it in its data.
            self.execution = origin["began"]
            self._stops = tuple((number, task) for number, task in origin["stops"])
        self.input = event.input
        self._phase = "running"
        self._queued = event.queued
        root = definition.root
        self._root = root.frame(self, root, self, "", Strand({}), {})
        try:
            if definition.input_schema is not None:
                definition.input_schema.check(event.input, self._root)
            data = definition.input_from(self._root, event.input) if definition.input_from is not None else event.input
            if definition.attributes is not None:
                self.set_attributes("", definition.attributes.of(self._root, data), self._root)
        except Failure as failure:
            self.child_failed(self._root, failure)
            return
        self.input = data
        self.schedule(self._root, data)

    def _on_admitted(self, event: ExecutionAdmitted) -> None:
        if self.started is None or not self.started.queued:
            raise ReplayMismatch("an execution that was not queued needs no admission")
        self._queued = False

    def _on_restarted(self, event: ExecutionRestarted) -> None:
        if self._cut is None or self._cut[0].identity != event.task:
            raise ReplayMismatch(f"nothing was about to begin at {event.task}")
        frame, data, since = self._cut
        self._cut, self._stops = None, self._stops[1:]
        self.execution = event.execution
        # Time has stood still.
        stood = event.at - since
        for id, (command, owner, asked) in list(self._waits.items()):
            if isinstance(command, StartTimer):
                self._waits[id] = (StartTimer(id, command.at + stood), owner, asked + stood)
        if event.undos == "left":
            self.saga.keep()
        if "context" in event.edited:
            frame.strand.context = event.context
        self._agenda.appendleft((frame, event.input if "input" in event.edited else data))

    def _on_migrated(self, event: ExecutionMigrated) -> None:
        # What this definition says of attributes is told together with this event.
        for id, (command, _, _) in list(self._waits.items()):
            if isinstance(command, SetAttributes):
                del self._waits[id]

    def _on_limit(self, event: LimitReached) -> None:
        if event.limit == "tasks":
            # Of an undo too, which would not end either.
            if self._turn is not None:
                self.told(self._turn)
                self._turn, self._begun = None, 0
            frame = next((frame for frame, _ in self._agenda if not frame.cancelled), None)
            if frame is not None:
                self._break(frame, reached(event.limit, event.most, frame.reference))
        elif self._phase == "running" and self._root is not None:
            self._break(self._root, reached(event.limit, event.most, ""))

    def _on_suspend(self, event: SuspendRequested) -> None:
        if self._phase == "running" and self._held is None:
            self._held = event
            self.all_moved("suspended")

    def _on_resume(self, event: ResumeRequested) -> None:
        if self._held is not None:
            self.all_moved("resumed")
        self._held = None

    def _on_cancel(self, event: CancelRequested) -> None:
        if self._phase == "running" and self._root is not None:
            self._reason = event.reason
            self._phase = "ending"
            self._held = None
            self._queued = False
            self._root.cancel(drain=True)

    def _on_undo(self, event: UndoRequested) -> None:
        if not isinstance(self._conclusion, Complete) or "conclusion" in self._waits:
            raise ReplayMismatch("only what has completed is undone by whoever ran it")
        self.undo, self._reason, self._held = event, event.reason, None
        self._conclusion = None
        self._phase = "undoing"
        self.saga.begin()

    def _on_completed(self, event: ExecutionCompleted) -> None:
        self._confirm(isinstance(self._conclusion, Complete) and self._conclusion.output == event.output, event)

    def _on_faulted(self, event: ExecutionFaulted) -> None:
        own = self._conclusion
        same = isinstance(own, Fault) and own.error == event.error and own.compensation == event.compensation
        self._confirm(same, event)

    def _on_cancelled(self, event: ExecutionCancelled) -> None:
        own = self._conclusion
        same = isinstance(own, Cancel) and own.reason == event.reason and own.compensation == event.compensation
        self._confirm(same, event)

    def _confirm(self, same: bool, event: Event) -> None:
        if not same:
            raise ReplayMismatch(f"{type(event).__name__} is not what this machine came to (it is {self.status})")
        self._waits.pop("conclusion", None)


_HANDLERS: dict[type, Callable[[Machine, Any], None]] = {
    ExecutionStarted: Machine._on_started,
    ExecutionAdmitted: Machine._on_admitted,
    TurnTaken: Machine._on_turn,
    LimitReached: Machine._on_limit,
    CallCompleted: Machine._on_answer,
    CallFailed: Machine._on_answer,
    CallUnknown: Machine._on_answer,
    TimerFired: Machine._on_timer,
    CompensationRegistered: Machine._on_registered,
    AttributesSet: Machine._on_attributes,
    EventEmitted: Machine._on_emitted,
    EventReceived: Machine._on_received,
    ChildStarted: Machine._on_run,
    ChildEnded: Machine._on_run,
    ChildUndone: Machine._on_undone,
    ProcessEnded: Machine._on_run,
    ProcessFailed: Machine._on_run,
    CancelRequested: Machine._on_cancel,
    UndoRequested: Machine._on_undo,
    SuspendRequested: Machine._on_suspend,
    ResumeRequested: Machine._on_resume,
    IncidentOpened: Machine._on_opened,
    IncidentResolved: Machine._on_resolved,
    ExecutionMigrated: Machine._on_migrated,
    ExecutionRestarted: Machine._on_restarted,
    ExecutionCompleted: Machine._on_completed,
    ExecutionFaulted: Machine._on_faulted,
    ExecutionCancelled: Machine._on_cancelled,
}
