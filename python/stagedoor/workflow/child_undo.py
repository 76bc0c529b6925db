"""The undo of another workflow that a task ran to its end: what that one did itself, as a unit."""

from __future__ import annotations

from typing import Any

from stagedoor.workflow.commands import Command, UndoChild
from stagedoor.workflow.definition import OnFailure
from stagedoor.workflow.error import Failure
from stagedoor.workflow.events import ChildUndone
from stagedoor.workflow.frame import Frame
from stagedoor.workflow.timeline import Entry as Shown
from stagedoor.workflow.undo import Status, Undo
from stagedoor.workflow.waiting import ForExecution, Reason

Json = Any
STATUSES: dict[str, Status] = {"complete": "compensated", "none": "compensated", "partial": "partial"}
"""By what the other one reports; anything else has failed."""


class ChildUndo(Undo):
    """How an undo is tried again, and what becomes of one that fails, is up to the workflow that was run. This one
    fails only where that one cannot be undone at all."""

    __slots__ = ("child", "shown", "undone")

    def __init__(self, forward: Frame, child: str, scope: Frame | None, number: int) -> None:
        super().__init__(forward, 0, scope, number)
        self.child = child
        """The id of the execution."""
        self.arguments = {"execution": child}
        self.undone: Json = None
        """What the other one reports."""
        self.shown: Shown | None = None

    @property
    def call(self) -> str:
        return str(getattr(self.task, "workflow", ""))

    @property
    def on_failure(self) -> OnFailure:
        return self.machine.definition.saga.on_failure

    @property
    def origin(self) -> str:
        return f"{self.reference}!undo"

    def attempt(self) -> None:
        self.attempts += 1
        machine = self.machine
        entry = Shown(self.reference, self.task.name, "undo", self.path, machine.now, self.reference)
        entry.call = f"{self.call} {self.child}"
        self.shown = machine.note(entry)
        machine.ask(UndoChild(machine.number(f"{self.origin}{self.path}", self), self.reference, self.child), self)

    def child_undone(self, event: ChildUndone) -> None:
        if self.shown is not None:
            self.shown.until = event.at
            self.shown.outcome = "completed" if event.error is None else "failed"
            self.shown.error = event.error
        if event.error is not None:
            self.failure = Failure({**event.error, "instance": self.reference})
            self.give_up(self.failure)
            return
        self.undone = event.compensation
        self.settle(STATUSES.get(str(event.compensation.get("status")), "failed"))

    def waits_for(self, command: Command, since: float) -> Reason:
        if isinstance(command, UndoChild):
            return ForExecution(
                task=self.reference, since=since, workflow=self.call, execution=self.child, undoing=True
            )
        return super().waits_for(command, since)

    def report(self) -> dict[str, Json]:
        entry = super().report() | {"execution": self.child}
        return entry if self.undone is None else entry | {"compensation": self.undone}
