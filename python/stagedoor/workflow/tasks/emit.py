"""``emit``: publish an event. It is in the log before anybody is told of it, and its id is the same however often it is
delivered."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from stagedoor.workflow import cloud_event
from stagedoor.workflow.commands import Emit as EmitCommand
from stagedoor.workflow.definition import Task
from stagedoor.workflow.duration import moment
from stagedoor.workflow.error import Failure, standard
from stagedoor.workflow.expression import Template
from stagedoor.workflow.frame import Frame

if TYPE_CHECKING:
    from stagedoor.workflow.compiler import Common, Compiler, Within
    from stagedoor.workflow.place import Place

Json = Any

TEXTS = ("id", "source", "type", "subject", "datacontenttype", "dataschema", "time")


class EmitFrame(Frame):
    __slots__ = ()
    task: Emit

    def begin(self) -> None:
        machine = self.machine
        said = self.task.event(self, self.input)
        event: dict[str, Json] = {
            "specversion": "1.0",
            # What is repeated with its block is the same event again, as a call has the same key.
            "id": f"{machine.execution}{self.identity}",
            "source": f"/workflows/{machine.definition.key}",
            "time": moment(machine.now),
            **{name: value for name, value in said.items() if value is not None},
        }
        if "data" in event:
            event.setdefault("datacontenttype", "application/json")
        try:
            cloud_event.check(event)
            if len(json.dumps(event, ensure_ascii=False)) > cloud_event.MAX_BYTES:
                raise ValueError(f"it is larger than {cloud_event.MAX_BYTES} bytes")
        except ValueError as error:
            failure = standard("validation", 400, "Not an event", self.reference, f"the event to emit: {error}")
            raise Failure(failure) from error
        machine.emit(EmitCommand(machine.number(f"{self.identity}!emit", self), self.reference, event), self)
        self.complete(event)


@dataclass(frozen=True, slots=True, kw_only=True)
class Emit(Task):
    kind: ClassVar[str] = "emit"
    frame: ClassVar[type[Frame]] = EmitFrame
    event: Template


def compile(place: Place, common: Common, compiler: Compiler, within: Within) -> Task | None:
    place.keys({"emit"})
    config = place.at("emit")
    if not config.mapping(required=("event",)):
        return None
    config.keys({"event"}, common=False)
    event = config.at("event")
    if not event.mapping(required=("with",)):
        return None
    wanted = event.at("with")
    if not wanted.mapping(required=("type",)):
        return None
    for name in TEXTS:
        if name in wanted.value:
            found = wanted.at(name)
            if name in cloud_event.URIS:
                found.uri()
                continue
            literal = found.text() is not None and not found.is_expression()
            if literal and name == "time" and not cloud_event.is_time(found.value):
                found.problem("time is written as in '2026-01-31T12:00:00Z'")
    return Emit(**common, event=compiler.template(wanted, within))
