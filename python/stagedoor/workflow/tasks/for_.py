"""``for``: the same tasks for each item, one after the other; each iteration's output is the next one's input."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from stagedoor.workflow.definition import Task
from stagedoor.workflow.error import Failure, standard
from stagedoor.workflow.expression import Template, constant, truthy
from stagedoor.workflow.frame import Frame, Scope
from stagedoor.workflow.place import kind
from stagedoor.workflow.tasks.do import Block, block

if TYPE_CHECKING:
    from stagedoor.workflow.compiler import Common, Compiler, Within
    from stagedoor.workflow.place import Place

Json = Any

_NAME = re.compile(r"[A-Za-z_]\w*\Z")


class ForFrame(Frame):
    __slots__ = ("child", "index", "items")
    task: For

    def begin(self) -> None:
        items = self.task.items(self, self.input)
        if not isinstance(items, list):
            what = type(items).__name__ if self.rules < 4 else kind(items)
            detail = f"for.in yields {'null' if items is None else what}, not an array"
            raise Failure(standard("validation", 400, "Not an array", self.reference, detail))
        self.items = items
        self.child: Frame | None = None
        self.index = -1
        self.iterate(self.input)

    def iterate(self, data: Json) -> None:
        """May raise ``Failure`` from the condition."""
        task = self.task
        self.index += 1
        self.machine.identifiers.trim()
        if self.index >= len(self.items):
            self.complete(data)
            return
        variables = {**self.locals, task.each: self.items[self.index], task.at: self.index}
        path = f"{self.path}[{self.index}]"
        if task.while_ is not None and not truthy(task.while_(Scope(self, variables), data)):
            self.complete(data)
            return
        self.child = task.body.frame(self.machine, task.body, self, path, self.strand, variables)
        self.machine.schedule(self.child, data)

    def child_done(self, child: Frame, output: Json, then: str) -> None:
        try:
            self.iterate(output)
        except Failure as failure:
            self.fail(failure)

    def child_failed(self, child: Frame, failure: Failure) -> None:
        self.fail(failure)

    def stop(self, *, drain: bool) -> None:
        if self.child is not None:
            self.child.cancel(drain=drain)


@dataclass(frozen=True, slots=True, kw_only=True)
class For(Task):
    kind: ClassVar[str] = "for"
    frame: ClassVar[type[Frame]] = ForFrame
    items: Template
    each: str
    at: str
    while_: Template | None
    body: Block


def compile(place: Place, common: Common, compiler: Compiler, within: Within) -> Task | None:
    place.keys({"for", "while", "do"})
    config = place.at("for")
    if not config.mapping(required=("in",)):
        return None
    config.keys({"each", "in", "at"}, common=False)
    each, at = variable(config, "each", "item"), variable(config, "at", "index")
    if each == at:
        config.problem(f"each and at are both named {each[1:]!r}")
    collection = config.at("in")
    if isinstance(collection.value, list):
        for index, item in enumerate(collection.value):
            if not isinstance(item, dict):
                collection.at(index).problem("an array that is written out holds objects", "write ${ [ … ] }")
        items: Template = compiler.template(collection, within)
    elif isinstance(collection.value, str):
        items = compiler.expression(collection, within.variables)
    else:
        collection.problem("in is an expression or an array")
        items = constant([])
    inner = within.having(each, at)
    while_ = compiler.expression(place.at("while"), inner.variables) if "while" in place.value else None
    reference = f"{common['reference']}/do"
    if "do" not in place.value:
        place.problem("a for task needs do: with its tasks")
        return None
    body = block(compiler.tasks(place.at("do"), reference, inner), common["name"], reference)
    return For(**common, items=items, each=each, at=at, while_=while_, body=body)


def variable(config: Place, key: str, default: str) -> str:
    """The name that the document gives to a variable, with its ``$``."""
    name = config.value.get(key, default)
    if not isinstance(name, str) or not _NAME.match(name):
        config.at(key).problem(f"{key} is the name of a variable: letters, digits and _")
        return f"${default}"
    if f"${name}" in ("$context", "$input", "$output", "$task", "$workflow", "$runtime", "$secrets"):
        config.at(key).problem(f"${name} is a runtime argument and cannot be the name of a variable")
    return f"${name}"
