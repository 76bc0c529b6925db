"""``do``: tasks one after the other. Also the body of a loop, a try and a catch, and the workflow itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from stagedoor.workflow import compensation
from stagedoor.workflow.definition import Task
from stagedoor.workflow.error import Failure
from stagedoor.workflow.frame import Frame, late

if TYPE_CHECKING:
    from stagedoor.workflow.compiler import Common, Compiler, Within
    from stagedoor.workflow.place import Place

Json = Any


class DoFrame(Frame):
    """With a saga of its own, a failure first undoes what was done in it."""

    __slots__ = ("child", "failure", "index", "round", "undoing")
    task: Do | Block

    def begin(self) -> None:
        self.round = 0
        self.failure: Failure | None = None
        self.undoing = False
        self.run(0, self.input)

    def run(self, index: int, data: Json) -> None:
        tasks = self.task.tasks
        if index >= len(tasks):
            self.complete(data)
            return
        self.index = index
        task = tasks[index]
        # A task that is reached again by a jump back is another run of it, with ids of its own.
        path = f"{self.path}~{self.round}" if self.round else self.path
        self.child = task.frame(self.machine, task, self, path, self.strand, self.locals)
        self.machine.schedule(self.child, data)

    def child_done(self, child: Frame, output: Json, then: str) -> None:
        if then == "continue":
            self.run(self.index + 1, output)
        elif then == "exit":
            self.complete(output)
        elif then == "end":
            self.machine.end(self, output)
        else:
            index = self.task.positions[then]
            if index <= self.index:
                self.round += 1
                self.machine.identifiers.trim()
            self.run(index, output)

    def child_failed(self, child: Frame, failure: Failure) -> None:
        if self.task.saga is None:
            self.fail(failure)
            return
        self.failure = failure
        self.machine.when_drained(self.unwind)

    def complete(self, raw: Json, then: str | None = None) -> None:
        if self.task.saga is not None:
            self.machine.saga.hand_over(self)
        Frame.complete(self, raw, then)

    def unwind(self) -> None:
        # Cancelled in the meantime: what was done here has been handed over.
        if self.task.saga is not None and not self.cancelled:
            self.undoing = True
            self.machine.saga.unwind(self, self.task.saga, self.unwound).begin()

    def unwound(self) -> None:
        self.undoing = False
        if self.cancelled:
            self.machine.draining -= 1
        if self.failure is not None:
            self.fail(self.failure)

    def expire(self, seconds: float) -> None:
        if self.task.saga is None or self.failure is not None:
            Frame.expire(self, seconds)
            return
        self.deadline = None
        self.child.cancel(drain=True)
        self.child_failed(self.child, late(self, seconds))

    def stop(self, *, drain: bool) -> None:
        if self.task.saga is not None:
            self.machine.saga.hand_over(self)
        if self.failure is None:
            self.child.cancel(drain=drain)
        elif self.undoing:
            # An undo that has begun is brought to its end.
            self.machine.draining += 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Do(Task):
    kind: ClassVar[str] = "do"
    frame: ClassVar[type[Frame]] = DoFrame
    tasks: tuple[Task, ...]
    positions: Mapping[str, int]


@dataclass(frozen=True, slots=True, kw_only=True)
class Block(Task):
    """A list that is no task of its own."""

    kind: ClassVar[str] = "block"
    frame: ClassVar[type[Frame]] = DoFrame
    hidden: ClassVar[bool] = True
    tasks: tuple[Task, ...]
    positions: Mapping[str, int]


def block(tasks: tuple[Task, ...], name: str, reference: str, **options: Any) -> Block:
    """``options`` are those of every task."""
    return Block(name=name, reference=reference, tasks=tasks, positions=_positions(tasks), **options)


def compile(place: Place, common: Common, compiler: Compiler, within: Within) -> Task:
    place.keys({"do"})
    tasks = compiler.tasks(place.at("do"), f"{common['reference']}/do", within)
    return Do(**common, tasks=tasks, positions=_positions(tasks), saga=compensation.scope(place))


def _positions(tasks: tuple[Task, ...]) -> dict[str, int]:
    return {task.name: index for index, task in enumerate(tasks)}
