"""Undoing what was done: registers undos with their arguments, runs them when the execution fails, reports on them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from stagedoor.workflow.commands import Command, OpenIncident, RegisterCompensation, StartTimer
from stagedoor.workflow.deadline import Deadline
from stagedoor.workflow.definition import Compensation, SagaPolicy
from stagedoor.workflow.duration import moment
from stagedoor.workflow.error import Failure
from stagedoor.workflow.events import CompensationRegistered, IncidentResolved, TimerFired
from stagedoor.workflow.frame import Frame, Scope, Strand
from stagedoor.workflow.retry import evaluate
from stagedoor.workflow.timeline import Entry as Shown

if TYPE_CHECKING:
    from stagedoor.workflow.machine import Machine

Json = Any
Status = Literal["registered", "undoing", "suspended", "compensated", "skipped", "done", "failed"]
SETTLED = frozenset({"compensated", "skipped", "done", "failed"})


class Undo:
    """One undo: what it undoes, with which arguments, and how far it is. Parent of the frame that runs it."""

    __slots__ = (
        "arguments",
        "attempts",
        "compensation",
        "edits",
        "environment",
        "failure",
        "forward",
        "frame",
        "group",
        "incident",
        "incidents",
        "machine",
        "outcome",
        "path",
        "reference",
        "retries",
        "saga",
        "since",
        "status",
    )

    def __init__(self, saga: Saga, forward: Frame, group: int) -> None:
        compensation = forward.task.compensation
        assert compensation is not None
        self.saga = saga
        self.machine = saga.machine
        self.forward = forward
        self.compensation: Compensation = compensation
        self.reference = forward.reference
        """Of the task to be undone."""
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
        self.environment: Scope | None = None

    @property
    def identity(self) -> str:
        """The same for every attempt to undo the same thing with the same arguments."""
        suffix = (f":g{self.group}" if self.group else "") + (f":e{self.edits}" if self.edits else "")
        return f"{self.path}{suffix}"

    def begin(self) -> None:
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
        self.machine.start_timer(f"{self.compensation.task.reference}{self.identity}!retry", wait, self)

    def fired(self, event: TimerFired) -> None:
        self.attempt()

    def give_up(self, failure: Failure) -> None:
        policy = self.compensation.on_failure
        if policy == "suspend":
            self.status = "suspended"
            self.incidents += 1
            identifier = f"{self.compensation.task.reference}{self.identity}!{self.incidents}"
            shown = Shown(self.reference, self.compensation.call, "incident", self.path, self.machine.now, None)
            shown.outcome, shown.error = "open", failure.error
            self.incident = self.machine.note(shown)
            self.machine.ask(OpenIncident(identifier, self.reference, failure.error, self.arguments), self)
        elif policy == "fault":
            self.status = "failed"
            self.saga.stop()
        else:
            self.settle("failed")

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
        self.saga.next()

    def waits_for(self, command: Command) -> str:
        if isinstance(command, StartTimer):
            return f"the undo of {self.reference} failed and is tried again at {moment(command.at)}"
        error = self.failure.error if self.failure else {}
        return (
            f"an operator must decide: the undo of {self.reference} failed: {error.get('detail') or error.get('title')}"
        )

    def report(self) -> dict[str, Json]:
        entry: dict[str, Json] = {"task": self.reference, "call": self.compensation.call}
        if self.path:
            entry["iteration"] = self.path
        entry["status"] = "skipped" if self.status == "registered" else self.status
        entry["attempts"] = self.attempts
        if self.outcome == "unknown":
            entry["outcome"] = "unknown"
        if self.failure is not None and self.status != "compensated":
            entry["error"] = self.failure.error
        return entry


class Saga:
    """All undos of one execution, in the order in which their tasks completed."""

    __slots__ = ("_current", "_numbers", "_runs", "_seen", "_stopped", "begun", "machine", "policy", "undos")

    def __init__(self, machine: Machine, policy: SagaPolicy) -> None:
        self.machine = machine
        self.policy = policy
        self.undos: list[Undo] = []
        self.begun = False
        self._current = 0
        self._stopped = False
        self._numbers: dict[str, int] = {}
        self._runs: dict[tuple[int, str, int], Undo] = {}
        self._seen: dict[str, int] = {}

    def register(self, forward: Frame, output: Json, outcome: Literal["completed", "unknown"]) -> None:
        """Raises ``Failure`` when the arguments' expression fails; nothing is registered then."""
        compensation = forward.task.compensation
        assert compensation is not None
        arguments = output
        if compensation.arguments is not None:
            arguments = compensation.arguments(Scope(forward, {"$output": output, "$outcome": outcome}), output)
        self._add(forward, arguments, outcome, None)

    def register_anyway(self, forward: Frame, failure: Failure) -> None:
        """Its output or arguments cannot be evaluated: the undo becomes an operator's, or fails, as its policy says."""
        self._add(forward, None, "unknown" if failure.unknown else "completed", failure)

    def _add(
        self, forward: Frame, arguments: Json, outcome: Literal["completed", "unknown"], failure: Failure | None
    ) -> None:
        sendings = self.machine.sendings.get(forward.identity)
        group = sendings.group if sendings is not None else 0
        # Registered before: at its start, or by an earlier run that sent the same key. One effect, one undo.
        run = (id(forward.task), forward.path, group)
        earlier = forward.undo or self._runs.get(run)
        if earlier is not None and earlier in self.undos:
            self.undos.remove(earlier)
        undo = Undo(self, forward, group)
        undo.arguments, undo.outcome, undo.failure = arguments, outcome, failure
        self.undos.append(undo)
        forward.undo = self._runs[run] = undo
        number = self._numbers[undo.reference] = self._numbers.get(undo.reference, 0) + 1
        self.machine.tell(f"{undo.reference}!{number}", RegisterCompensation(undo.reference, arguments), undo)

    def confirmed(self, event: CompensationRegistered) -> Undo | None:
        """The log's arguments count. None if nothing was registered for that task."""
        number = self._seen.get(event.task, 0) + 1
        undo = self.machine.told(f"{event.task}!{number}")
        if isinstance(undo, Undo):
            self._seen[event.task] = number
            undo.arguments = event.arguments
            return undo
        return None

    def begin(self) -> None:
        self.begun = True
        self._current = len(self.undos)
        if self.policy.parallel:
            for undo in reversed(self.undos):
                undo.begin()
        if self.policy.parallel and self.undos:
            return
        self.next()

    def next(self) -> None:
        if self._stopped:
            return
        if self.policy.parallel:
            if all(undo.status in SETTLED for undo in self.undos):
                self.machine.undone()
            return
        self._current -= 1
        if self._current >= 0:
            self.undos[self._current].begin()
        else:
            self.machine.undone()

    def stop(self) -> None:
        """An undo failed for good and the document says that this ends it all."""
        if not self._stopped:
            self._stopped = True
            for undo in self.undos:
                if undo.status in ("undoing", "suspended"):
                    if undo.frame is not None:
                        undo.frame.cancel(drain=False)
                    undo.status = "failed"
            self.machine.undone()

    def report(self) -> dict[str, Json]:
        """``complete``: all is undone; ``failed``: nothing is; ``partial``: some is; ``none``: nothing was to be."""
        entries = [undo.report() for undo in reversed(self.undos)]
        good = sum(entry["status"] in ("compensated", "done") for entry in entries)
        if not entries:
            status = "none"
        elif good == len(entries):
            status = "complete"
        else:
            status = "partial" if good else "failed"
        return {"status": status, "entries": entries}
