"""``switch``: the first case whose condition holds says where to go; the data passes through."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from stagedoor.workflow.definition import Task
from stagedoor.workflow.expression import Template, truthy
from stagedoor.workflow.frame import Frame

if TYPE_CHECKING:
    from stagedoor.workflow.compiler import Common, Compiler, Within
    from stagedoor.workflow.place import Place


class SwitchFrame(Frame):
    __slots__ = ()
    task: Switch

    def begin(self) -> None:
        then = None
        for when, target in self.task.cases:
            if when is None or truthy(when(self, self.input)):
                then = target
                break
        self.complete(self.input, then)


@dataclass(frozen=True, slots=True, kw_only=True)
class Switch(Task):
    kind: ClassVar[str] = "switch"
    frame: ClassVar[type[Frame]] = SwitchFrame
    cases: tuple[tuple[Template | None, str], ...]
    """Condition and directive; a case without a condition always holds."""


def compile(place: Place, common: Common, compiler: Compiler, within: Within) -> Task:
    place.keys({"switch"})
    cases: list[tuple[Template | None, str]] = []
    for name, case in place.at("switch").items(minimum=1):
        if not case.mapping():
            continue
        case.keys({"when", "then"}, common=False)
        when = compiler.expression(case.at("when"), within.variables) if "when" in case.value else None
        if cases and cases[-1][0] is None:
            case.problem(f"case {name!r} can never be reached: the one before it has no condition")
        if "then" not in case.value:
            case.problem(
                f"case {name!r} does not say where to go", "add then: with a task's name, continue, exit or end"
            )
            continue
        cases.append((when, compiler.directive(case.at("then"), within)))
    return Switch(**common, cases=tuple(cases))
