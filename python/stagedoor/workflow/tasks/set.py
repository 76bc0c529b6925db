"""``set``: the output is what it says; the input is replaced, not merged."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from stagedoor.workflow.definition import Task
from stagedoor.workflow.expression import Template, constant
from stagedoor.workflow.frame import Frame

if TYPE_CHECKING:
    from stagedoor.workflow.compiler import Common, Compiler, Within
    from stagedoor.workflow.place import Place


class SetFrame(Frame):
    __slots__ = ()
    task: Set

    def begin(self) -> None:
        self.complete(self.task.value(self, self.input))


@dataclass(frozen=True, slots=True, kw_only=True)
class Set(Task):
    kind: ClassVar[str] = "set"
    frame: ClassVar[type[Frame]] = SetFrame
    value: Template


def compile(place: Place, common: Common, compiler: Compiler, within: Within) -> Task:
    place.keys({"set"})
    value = place.at("set")
    if not isinstance(value.value, dict) or not value.value:
        if not isinstance(value.value, str):
            value.problem("set takes a non-empty object or an expression")
        elif not value.is_expression() and not compiler.loose:
            value.problem(f"{value.value!r} is taken literally", "an expression is wrapped as ${ … }", "warning")
            return Set(**common, value=constant(value.value))
    return Set(**common, value=compiler.template(value, within))
