"""``fork``: branches at the same time; all of them, or with ``compete`` the first to complete."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from stagedoor.workflow.definition import Task
from stagedoor.workflow.error import Failure
from stagedoor.workflow.frame import Frame, Strand

if TYPE_CHECKING:
    from stagedoor.workflow.compiler import Common, Compiler, Within
    from stagedoor.workflow.place import Place

Json = Any


class ForkFrame(Frame):
    __slots__ = ("branches", "left", "outputs")
    task: Fork

    def begin(self) -> None:
        tasks = self.task.branches
        self.left = len(tasks)
        self.outputs: list[Json] = [None] * len(tasks)
        context = self.strand.context
        self.branches: list[Frame] = []
        for task in tasks:
            strand = Strand(context, self.strand.undoes)
            self.branches.append(task.frame(self.machine, task, self, self.path, strand, self.locals))
        for branch in self.branches:
            self.machine.schedule(branch, self.input)

    def child_done(self, child: Frame, output: Json, then: str) -> None:
        if then == "end":
            self.machine.end(self, output)
            return
        if self.task.compete:
            self.abandon(child, drain=False)
            self.strand.context = child.strand.context
            self.complete(output)
            return
        self.outputs[self.branches.index(child)] = output
        self.left -= 1
        if self.left == 0:
            self.strand.context = merge(self.strand.context, [branch.strand.context for branch in self.branches])
            self.complete(self.outputs)

    def child_failed(self, child: Frame, failure: Failure) -> None:
        self.abandon(child, drain=True)
        self.fail(failure)

    def abandon(self, ended: Frame, *, drain: bool) -> None:
        for branch in self.branches:
            if branch is not ended:
                branch.cancel(drain=drain)

    def stop(self, *, drain: bool) -> None:
        for branch in self.branches:
            branch.cancel(drain=drain)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fork(Task):
    kind: ClassVar[str] = "fork"
    frame: ClassVar[type[Frame]] = ForkFrame
    branches: tuple[Task, ...]
    compete: bool


def merge(before: Json, branches: list[Json]) -> Json:
    """What the branches exported, in branch order: an object's changed keys one by one, anything else as a whole."""
    merged = before
    for context in branches:
        if context is before:
            continue
        if isinstance(merged, dict) and isinstance(context, dict) and isinstance(before, dict):
            changed = {key: value for key, value in context.items() if key not in before or before[key] != value}
            gone = [key for key in before if key not in context]
            merged = {key: value for key, value in {**merged, **changed}.items() if key not in gone}
        else:
            merged = context
    return merged


def compile(place: Place, common: Common, compiler: Compiler, within: Within) -> Task | None:
    place.keys({"fork"})
    config = place.at("fork")
    if not config.mapping(required=("branches",)):
        return None
    config.keys({"branches", "compete"}, common=False)
    compete = config.value.get("compete", False)
    if not isinstance(compete, bool):
        config.at("compete").problem("compete is true or false")
    reference = f"{common['reference']}/fork/branches"
    branches = compiler.tasks(config.at("branches"), reference, within, alone=True)
    return Fork(**common, branches=branches, compete=bool(compete))
