"""``call: activity``: a Python function of this process, by its name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stagedoor.workflow.definition import Task
from stagedoor.workflow.expression import Template
from stagedoor.workflow.frame import Frame
from stagedoor.workflow.manner import Manner
from stagedoor.workflow.tasks.calling import CallTask, Prepared, key

if TYPE_CHECKING:
    from stagedoor.workflow.compiler import Common, Compiler, Within
    from stagedoor.workflow.place import Place

Json = Any
MANNER = Manner(activity=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class ActivityCall(CallTask):
    name_of_function: str
    arguments: Template | None

    def prepare(self, frame: Frame) -> Prepared:
        data = frame.input
        body = self.arguments(frame, data) if self.arguments is not None else data
        return Prepared("RUN", f"activity://{self.name_of_function}", {}, {}, body, MANNER)


def compile(place: Place, common: Common, compiler: Compiler, within: Within) -> Task | None:
    place.keys({"call", "with"})
    if not place.mapping(required=("with",)):
        return None
    given = place.at("with")
    if not given.mapping(required=("name",)):
        return None
    given.keys({"name", "arguments"}, common=False)
    name = given.at("name").text()
    if name is None:
        return None
    if given.at("name").is_expression():
        given.at("name").problem("the name of an activity is known before it runs, so it is no expression")
    compiler.activities.setdefault(name, given.at("name").path)
    arguments = compiler.template(given.at("arguments"), within) if "arguments" in given.value else None
    return ActivityCall(**common, key=key(common["reference"]), name_of_function=name, arguments=arguments)
