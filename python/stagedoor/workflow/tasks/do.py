"""``do``: tasks one after the other. Also the body of a loop, a try and a catch, and the workflow itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from stagedoor.workflow.definition import Task
from stagedoor.workflow.error import Failure
from stagedoor.workflow.frame import Frame

if TYPE_CHECKING:
    from stagedoor.workflow.compiler import Common, Compiler, Within
    from stagedoor.workflow.place import Place

Json = Any


class DoFrame(Frame):
    __slots__ = ("child", "index", "round")
    task: Do | Block

    def begin(self) -> None:
        self.round = 0
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
            self.run(index, output)

    def child_failed(self, child: Frame, failure: Failure) -> None:
        self.fail(failure)

    def stop(self, *, drain: bool) -> None:
        self.child.cancel(drain=drain)


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
    return Do(**common, tasks=tasks, positions=_positions(tasks))


def _positions(tasks: tuple[Task, ...]) -> dict[str, int]:
    return {task.name: index for index, task in enumerate(tasks)}
