"""``run: workflow``: an execution of its own, whose output is the task's, whose failure is the task's, and which is
cancelled with it."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256
from typing import TYPE_CHECKING, Any, ClassVar

from stagedoor.workflow.commands import CancelChild, Command, StartChild
from stagedoor.workflow.definition import Task
from stagedoor.workflow.error import Failure, standard
from stagedoor.workflow.events import ChildEnded, ChildStarted
from stagedoor.workflow.expression import Template
from stagedoor.workflow.frame import Frame
from stagedoor.workflow.waiting import ForExecution, Reason

if TYPE_CHECKING:
    from stagedoor.workflow.compiler import Common, Compiler, Within
    from stagedoor.workflow.place import Place

Json = Any


class WorkflowFrame(Frame):
    __slots__ = ("command",)
    task: RunWorkflow

    def begin(self) -> None:
        task, machine = self.task, self.machine
        data = task.input(self, self.input) if task.input is not None else self.input
        id = machine.number(f"{self.identity}!run", self)
        child = child_id(machine.execution, id, machine.now)
        self.command = StartChild(id, task.reference, task.workflow, task.version, child, data, task.awaited)
        if self.entry is not None:
            self.entry.call = f"{task.workflow}:{task.version} {child}"
        machine.ask(self.command, self)

    def child_started(self, event: ChildStarted) -> None:
        if not self.task.awaited:
            self.machine.told(self.command.id)
            self.complete(self.input)

    def child_ended(self, event: ChildEnded) -> None:
        if event.status == "completed":
            own = self.task.compensation is not None or self.task.mark is not None
            if event.undo is not None and not own and self.strand.undoes is None:
                self.machine.saga.ran(self, self.command.child, event.undo)
            self.complete(event.output)
            return
        error = event.error if isinstance(event.error, dict) else {}
        kept = {key: error[key] for key in ("type", "status", "title", "detail") if key in error}
        if not isinstance(kept.get("status"), int) or "type" not in kept:
            kept = standard("runtime", 500, "The workflow that was run did not complete", self.reference)
        self.fail(Failure({**kept, "instance": self.reference}))

    def stop(self, *, drain: bool) -> None:
        cancel = CancelChild(self.command.id, self.command.child)
        if drain and self.task.awaited:
            # Until it has ended nothing that was done before it may be undone.
            self.machine.replace(cancel, self)
            self.machine.drain(cancel.id)
        else:
            self.machine.withdraw(cancel)

    def waits_for(self, command: Command, since: float) -> Reason:
        return ForExecution(
            task=self.reference,
            since=since,
            workflow=self.task.workflow,
            execution=self.command.child,
            stopping=isinstance(command, CancelChild),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class RunWorkflow(Task):
    kind: ClassVar[str] = "run"
    frame: ClassVar[type[Frame]] = WorkflowFrame
    workflow: str
    """``namespace/name``."""
    version: str
    input: Template | None
    awaited: bool


def child_id(execution: str, run: str, at: float) -> str:
    """The same for every repetition of the same run, in the form of the others (a UUID of version 8)."""
    chance = int.from_bytes(sha256(f"{execution}{run}".encode()).digest()[:10])
    value = (int(at * 1000) << 80) | chance
    value = value & ~(0xF000 << 64) & ~(0xC000 << 48) | (0x8000 << 64) | (0x8000 << 48)
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def compile(
    place: Place, common: Common, compiler: Compiler, within: Within, *, awaited: bool, returned: str
) -> Task | None:
    if not place.mapping(required=("namespace", "name", "version")):
        return None
    place.keys({"namespace", "name", "version", "input"}, common=False)
    named = [place.at(key).text() for key in ("namespace", "name", "version")]
    if "input" in place.value and not place.at("input").is_expression():
        place.at("input").mapping()
    template = compiler.template(place.at("input"), within) if "input" in place.value else None
    if None in named:
        return None
    namespace, name, version = named
    return RunWorkflow(**common, workflow=f"{namespace}/{name}", version=version or "", input=template, awaited=awaited)
