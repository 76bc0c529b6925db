"""One undo: what it undoes, with which arguments, and how far it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from stagedoor.workflow.commands import Command, OpenIncident, StartTimer
from stagedoor.workflow.deadline import Deadline
from stagedoor.workflow.definition import Compensation, OnFailure, Task
from stagedoor.workflow.error import Failure
from stagedoor.workflow.events import IncidentResolved, TimerFired
from stagedoor.workflow.frame import Frame, Scope, Strand
from stagedoor.workflow.retry import evaluate
from stagedoor.workflow.timeline import Entry as Shown
from stagedoor.workflow.waiting import ForOperator, ForTimer, Reason

if TYPE_CHECKING:
    from stagedoor.workflow.unwinding import Unwinding

Json = Any
Status = Literal["registered", "undoing", "suspended", "compensated", "partial", "skipped", "done", "failed", "kept"]
UNDER_WAY: tuple[Status, ...] = ("undoing", "suspended")


class Undo:
    """Parent of the frame that runs it."""

    __slots__ = (
        "arguments",
        "attempts",
        "edits",
        "failure",
        "frame",
        "group",
        "incident",
        "incidents",
        "machine",
        "number",
        "outcome",
        "path",
        "retries",
        "scope",
        "since",
        "status",
        "task",
        "unwinding",
    )

    def __init__(self, forward: Frame, group: int, scope: Frame | None, number: int) -> None:
        self.machine = forward.machine
        self.scope = scope
        """The list of tasks whose failure it belongs to; None: the workflow's."""
        self.unwinding: Unwinding | tuple[Unwinding, ...] | None = None
        """Who waits for it: whoever began it, and all that came to it since."""
        self.number = number
        """Of its registration: the later, the higher."""
        # Not the frame itself: its data would be kept until the end of the execution.
        self.task: Task = forward.task
        self.path = forward.path
        self.group = group
        self.arguments: Json = None
        self.outcome: Literal["completed", "unknown"] = "completed"
        self.status: Status = "registered"
        self.failure: Failure | None = None
        self.frame: Frame | None = None
        self.attempts = 0
        self.retries = 0
        self.edits = 0
        self.incidents = 0
        self.since = 0.0
        self.incident: Shown | None = None

    @property
    def reference(self) -> str:
        """Of the task to be undone."""
        return self.task.reference

    @property
    def compensation(self) -> Compensation:
        compensation = self.task.compensation
        assert compensation is not None
        return compensation

    @property
    def identity(self) -> str:
        """The same for every attempt to undo the same thing with the same arguments."""
        suffix = (f":g{self.group}" if self.group else "") + (f":e{self.edits}" if self.edits else "")
        return f"{self.path}{suffix}"

    @property
    def call(self) -> str:
        """What it does, for people."""
        return self.compensation.call

    @property
    def on_failure(self) -> OnFailure:
        return self.compensation.on_failure

    @property
    def origin(self) -> str:
        """The reference that its ids begin with."""
        return self.compensation.task.reference

    @property
    def repeatable(self) -> bool:
        """It may be attempted again."""
        return True

    @property
    def settled(self) -> bool:
        return self.status not in ("registered", *UNDER_WAY)

    @property
    def _unwindings(self) -> tuple[Unwinding, ...]:
        found = self.unwinding
        return () if found is None else found if isinstance(found, tuple) else (found,)

    def begin(self, unwinding: Unwinding) -> None:
        """Or wait with those who have begun it."""
        if self.status in UNDER_WAY and self.machine.rules > 3:
            self.unwinding = (*self._unwindings, unwinding)
            return
        self.unwinding = unwinding
        self.status = "undoing"
        if self.failure is not None and self.attempts == 0 and self.edits == 0:
            self.give_up(self.failure)
        else:
            self.attempt()

    def attempt(self) -> None:
        self.attempts += 1
        task = self.compensation.task
        strand = Strand({}, undoes=self.reference)
        self.frame = task.frame(self.machine, task, self, self.identity, strand, {})
        longest = self.compensation.retry.attempt
        if longest is not None:
            try:
                self.frame.deadline = Deadline(self.frame, evaluate(longest, self.frame, self.arguments))
            except Failure as failure:
                self.failure = failure
                self.give_up(failure)
                return
        self.machine.schedule(self.frame, self.arguments)

    def child_done(self, child: Frame, output: Json, then: str) -> None:
        self.settle("compensated")

    def child_failed(self, child: Frame, failure: Failure) -> None:
        self.failure = failure
        if self.retries == 0:
            self.since = self.machine.now
        scope = Scope(child, {"$error": failure.error})
        seed = f"{self.machine.execution}{self.reference}{self.identity}"
        try:
            wait = self.compensation.retry.wait(scope, self.arguments, self.retries, self.since, seed)
        except Failure:
            wait = None
        if wait is None or failure.fatal:
            self.give_up(failure)
            return
        self.retries += 1
        self.machine.start_timer(f"{self.origin}{self.identity}!retry", wait, self)

    def fired(self, event: TimerFired) -> None:
        self.attempt()

    def give_up(self, failure: Failure) -> None:
        policy = self.on_failure
        if policy == "suspend":
            self.status = "suspended"
            self.incidents += 1
            identifier = f"{self.origin}{self.identity}!{self.incidents}"
            shown = Shown(self.reference, self.call, "incident", self.path, self.machine.now, None)
            shown.outcome, shown.error = "open", failure.error
            self.incident = self.machine.note(shown)
            self.machine.ask(OpenIncident(identifier, self.reference, failure.error, self.arguments), self)
        elif policy == "fault":
            self.status = "failed"
            self.stop()
        else:
            self.settle("failed")

    def stop(self) -> None:
        """It has failed for good, or is given up: all that wait for it end with it."""
        if self.frame is not None and self.status in UNDER_WAY:
            self.frame.cancel(drain=False)
        self.status = "failed"
        for unwinding in self._unwindings:
            unwinding.stop()

    def resolved(self, event: IncidentResolved) -> None:
        if self.incident is not None:
            self.incident.until, self.incident.outcome = event.at, event.action
            self.incident.call = f"{event.by}: {event.reason}"
        if event.action == "skip":
            self.settle("skipped")
        elif event.action == "done":
            self.settle("done")
        else:
            if event.action == "edit":
                self.arguments = event.arguments
                self.edits += 1
            self.status = "undoing"
            self.retries = 0
            self.attempt()

    def settle(self, status: Status) -> None:
        self.status = status
        self.frame = None
        if status in ("compensated", "done"):
            # Whoever does it again does something new.
            self.machine.renew(self.task, self.path)
        for unwinding in self._unwindings:
            unwinding.next()

    def waits_for(self, command: Command, since: float) -> Reason:
        if isinstance(command, StartTimer):
            return ForTimer(task=self.reference, since=since, until=command.at, purpose="undo", number=self.retries)
        error = self.failure.error if self.failure else {}
        reason = str(error.get("detail") or error.get("title"))
        incident = command.id if isinstance(command, OpenIncident) else None
        return ForOperator(task=self.reference, since=since, incident=incident, reason=reason)

    def report(self) -> dict[str, Json]:
        """What an answer and the history say of it."""
        entry: dict[str, Json] = {"task": self.reference, "call": self.call}
        if self.path:
            entry["iteration"] = self.path
        entry["status"] = "skipped" if self.status == "registered" else self.status
        entry["attempts"] = self.attempts
        if self.outcome == "unknown":
            entry["outcome"] = "unknown"
        if self.failure is not None and self.status != "compensated":
            entry["error"] = self.failure.error
        return entry
