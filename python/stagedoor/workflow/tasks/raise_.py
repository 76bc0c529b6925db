"""``raise``: end the task with an error of the document's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from stagedoor.workflow.definition import Task
from stagedoor.workflow.error import Failure, standard
from stagedoor.workflow.expression import Template
from stagedoor.workflow.frame import Frame

if TYPE_CHECKING:
    from stagedoor.workflow.compiler import Common, Compiler, Within
    from stagedoor.workflow.place import Place

Json = Any

FIELDS = ("type", "status", "title", "detail", "instance")


class RaiseFrame(Frame):
    __slots__ = ()
    task: Raise

    def begin(self) -> None:
        error: dict[str, Json] = self.task.error(self, self.input)
        for field, value in error.items():
            if field != "status" and not isinstance(value, str):
                detail = f"the {field} of the error to raise is not a string"
                raise Failure(standard("expression", 400, "Expression failed", self.reference, detail))
        error.setdefault("instance", self.reference)
        self.fail(Failure(error))


@dataclass(frozen=True, slots=True, kw_only=True)
class Raise(Task):
    kind: ClassVar[str] = "raise"
    frame: ClassVar[type[Frame]] = RaiseFrame
    error: Template


def compile(place: Place, common: Common, compiler: Compiler, within: Within) -> Task | None:
    place.keys({"raise"})
    config = place.at("raise")
    if not config.mapping(required=("error",)):
        return None
    config.keys({"error"}, common=False)
    found = compiler.referenced(config.at("error"), compiler.errors, "error", "use.errors")
    template = error(found, compiler, within) if found is not None else None
    return Raise(**common, error=template) if template is not None else None


def error(place: Place, compiler: Compiler, within: Within) -> Template | None:
    """An error's definition: ``type`` and ``status`` are required; all but ``status`` may be expressions."""
    if not place.mapping(required=("type", "status")):
        return None
    place.keys(set(FIELDS), common=False)
    status = place.value["status"]
    if isinstance(status, bool) or not isinstance(status, int) or not 100 <= status <= 599:
        place.at("status").problem("status is a literal HTTP status, a number from 100 to 599")
    for field in FIELDS:
        if field != "status" and field in place.value:
            if field == "type":
                place.at(field).uri()
            else:
                place.at(field).text()
    return compiler.template(place, within, order=FIELDS)
