"""Extensions: tasks before and after the tasks of a kind. They see what the task gets and gives, and change neither;
unless one of those before says ``then: exit``, whose output is then the task's."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

from stagedoor.workflow import arguments
from stagedoor.workflow.definition import Task
from stagedoor.workflow.error import Failure
from stagedoor.workflow.expression import Compiled, truthy
from stagedoor.workflow.frame import Frame, Scope
from stagedoor.workflow.place import Place, token
from stagedoor.workflow.tasks.do import Block, DoFrame

if TYPE_CHECKING:
    from stagedoor.workflow.compiler import Compiler, Within

Json = Any

TARGETS = ("call", "composite", "emit", "for", "listen", "raise", "run", "set", "switch", "try", "wait", "all")
COMPOSITE = ("do", "fork")


@dataclass(frozen=True, slots=True)
class Extension:
    """As a document declares it."""

    name: str
    place: Place
    target: str

    def extends(self, kind: str) -> bool:
        return self.target in ("all", kind) or (self.target == "composite" and kind in COMPOSITE)


class BeforeFrame(DoFrame):
    """Says how it ended: ``exit`` leaves the extended task."""

    __slots__ = ()

    def child_done(self, child: Frame, output: Json, then: str) -> None:
        if then == "exit":
            self.complete(output, "exit")
        else:
            DoFrame.child_done(self, child, output, then)


@dataclass(frozen=True, slots=True, kw_only=True)
class Before(Block):
    frame: ClassVar[type[Frame]] = BeforeFrame


class ExtendedFrame(Frame):
    __slots__ = ("child", "inner", "outcome", "steps", "then")
    transparent: ClassVar[bool] = True
    task: Extended

    def begin(self) -> None:
        task = self.task.task
        self.inner: Frame = task.frame(self.machine, task, self, self.path, self.strand, self.locals)
        self.outcome: Json = None
        self.then = "continue"
        self.steps: list[Block | None] = [None]
        if self.runs():
            scope = self.scope()
            wanted = [
                each for each in self.task.extensions if each.when is None or truthy(each.when(scope, self.input))
            ]
            before = [each.before for each in wanted if each.before is not None]
            after = [each.after for each in reversed(wanted) if each.after is not None]
            self.steps = [*before, None, *after]
        self.step()

    def runs(self) -> bool:
        """Whether the task's own ``if`` holds; a task that is skipped is not extended."""
        task, inner = self.task.task, self.inner
        inner.input = self.input if task.input_from is None else task.input_from(inner, self.input)
        return task.condition is None or truthy(task.condition(inner, inner.input))

    def scope(self) -> Scope:
        """``$task`` is the task that is extended, with all that its document says."""
        known = arguments.task(self.inner)
        return Scope(self, {"$task": {**known["definition"], **known}})

    def step(self) -> None:
        if not self.steps:
            self.complete(self.outcome, self.then)
            return
        block = self.steps.pop(0)
        if block is None:
            self.child = self.inner
            self.machine.schedule(self.inner, self.input)
            return
        data = self.outcome if self.inner.started is not None else self.input
        self.child = block.frame(self.machine, block, self, self.path, self.strand, self.locals)
        self.machine.schedule(self.child, data)

    def child_done(self, child: Frame, output: Json, then: str) -> None:
        if child is self.inner:
            self.outcome, self.then = output, then
        elif then == "exit":
            try:
                self.replace(output)
            except Failure as failure:
                self.fail(failure)
            return
        self.step()

    def replace(self, output: Json) -> None:
        """The task is not run: this is its output instead."""
        task, inner = self.task.task, self.inner
        inner.output = output
        if task.output_as is not None:
            inner.output = task.output_as(inner, output)
        if task.export_as is not None:
            self.strand.context = task.export_as(inner, inner.output)
        self.complete(inner.output, task.then)

    def child_failed(self, child: Frame, failure: Failure) -> None:
        self.fail(failure)

    def stop(self, *, drain: bool) -> None:
        self.child.cancel(drain=drain)


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """An extension as it is compiled for one task."""

    when: Compiled | None
    before: Block | None
    after: Block | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Extended(Task):
    kind: ClassVar[str] = "extension"
    frame: ClassVar[type[Frame]] = ExtendedFrame
    hidden: ClassVar[bool] = True
    task: Task
    extensions: tuple[Applied, ...]


def declared(place: Place) -> tuple[Extension, ...]:
    """``use.extensions``."""
    found = []
    for name, each in place.items():
        if not each.mapping(required=("extend",)):
            continue
        each.keys({"extend", "when", "before", "after"}, common=False)
        found.append(Extension(name, each, each.at("extend").choice(TARGETS, "all")))
    return tuple(found)


def extend(task: Task, kind: str, extensions: tuple[Extension, ...], compiler: Compiler, within: Within) -> Task:
    """The task with those extensions that are for its kind."""
    applied = []
    for each in extensions:
        if each.extends(kind):
            applied.append(_applied(each, task.reference, compiler, within))
    if not applied:
        return task
    return Extended(
        name=task.name,
        reference=task.reference,
        document=task.document,
        then=task.then,
        task=task,
        extensions=tuple(applied),
    )


def check(extensions: tuple[Extension, ...], compiler: Compiler, within: Within) -> None:
    """Also those that extend nothing here."""
    for each in extensions:
        _applied(each, "/use/extensions", compiler, within)


def _applied(extension: Extension, task: str, compiler: Compiler, within: Within) -> Applied:
    """For the task with this reference."""
    place, said = extension.place, extension.place.value
    reference = f"{task}/extensions/{token(extension.name)}"
    within = replace(within, plain=True)
    blocks: dict[str, Block | None] = {"before": None, "after": None}
    for key in blocks:
        if key in said:
            below = f"{reference}/{key}"
            tasks = compiler.tasks(place.at(key), below, within)
            kind = Before if key == "before" else Block
            positions = {each.name: index for index, each in enumerate(tasks)}
            blocks[key] = kind(name=extension.name, reference=below, tasks=tasks, positions=positions)
    when = compiler.expression(place.at("when"), within.variables) if "when" in said else None
    return Applied(when=when, before=blocks["before"], after=blocks["after"])
