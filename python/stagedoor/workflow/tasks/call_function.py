"""``call: NAME``: a task of ``use.functions``, run with the arguments as its input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from stagedoor.workflow.definition import Task
from stagedoor.workflow.error import Failure
from stagedoor.workflow.expression import Template
from stagedoor.workflow.frame import Frame

if TYPE_CHECKING:
    from stagedoor.workflow.compiler import Common, Compiler, Within
    from stagedoor.workflow.place import Place

Json = Any


class FunctionFrame(Frame):
    __slots__ = ("child",)
    transparent: ClassVar[bool] = True
    task: FunctionCall

    def begin(self) -> None:
        task = self.task
        arguments = task.arguments(self, self.input) if task.arguments is not None else self.input
        # A function sees its arguments, not the loops and catches around its caller.
        self.child = task.body.frame(self.machine, task.body, self, self.path, self.strand, {})
        self.machine.schedule(self.child, arguments)

    def child_done(self, child: Frame, output: Json, then: str) -> None:
        if then == "end":
            self.machine.end(self, output)
        else:
            self.complete(output)

    def child_failed(self, child: Frame, failure: Failure) -> None:
        self.fail(failure)

    def stop(self, *, drain: bool) -> None:
        self.child.cancel(drain=drain)


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionCall(Task):
    kind: ClassVar[str] = "function"
    frame: ClassVar[type[Frame]] = FunctionFrame
    function: str
    arguments: Template | None
    body: Task


def compile(place: Place, common: Common, compiler: Compiler, within: Within) -> Task | None:
    place.keys({"call", "with"})
    name = place.value["call"]
    arguments = place.at("with") if "with" in place.value else None
    if arguments is not None and not arguments.is_expression() and not isinstance(arguments.value, dict):
        arguments.problem("the arguments of a function are an object or an expression")
    body = compiler.function(place.at("call"), name, common["reference"], within)
    if body is None:
        return None
    template = compiler.template(arguments, within) if arguments is not None else None
    return FunctionCall(**common, function=name, arguments=template, body=body)
