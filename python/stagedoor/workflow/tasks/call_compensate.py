"""``call: compensate``: undo now what was done so far in the saga around it, and go on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from stagedoor.workflow.definition import SagaPolicy, Task
from stagedoor.workflow.frame import Frame
from stagedoor.workflow.saga import report, scope_of
from stagedoor.workflow.unwinding import Unwinding

if TYPE_CHECKING:
    from stagedoor.workflow.compiler import Common, Compiler, Within
    from stagedoor.workflow.place import Place

Json = Any


class CompensateFrame(Frame):
    __slots__ = ("unwinding",)
    task: Compensate

    def begin(self) -> None:
        scope = scope_of(self)
        policy = self.machine.saga.policy if scope is None else scope.task.saga or SagaPolicy()
        self.unwinding: Unwinding = self.machine.saga.unwind(scope, policy, self.unwound, self.task.only)
        self.unwinding.begin()

    def unwound(self) -> None:
        if self.cancelled:
            self.machine.draining -= 1
        self.complete(report(self.unwinding.undos))

    def stop(self, *, drain: bool) -> None:
        # An undo that has begun is brought to its end.
        self.machine.draining += 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Compensate(Task):
    kind: ClassVar[str] = "compensate"
    frame: ClassVar[type[Frame]] = CompensateFrame
    only: str | None
    """The name of the task that is undone; None: all of them."""


def compile(place: Place, common: Common, compiler: Compiler, within: Within) -> Task | None:
    place.keys({"call", "with"})
    if within.undo:
        place.problem("an undo cannot ask for undos")
        return None
    only: str | None = None
    if "with" in place.value:
        given = place.at("with")
        if not given.mapping(required=("task",)):
            return None
        given.keys({"task"}, common=False)
        only = given.at("task").text()
        if only is not None:
            compiler.undone.append((given.at("task"), only))
    return Compensate(**common, only=only)
