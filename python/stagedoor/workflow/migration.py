"""Whether an execution can go on by another definition: fed with what has happened, it asks for the same things.

What may differ, since it is of no account for what was done already: attributes, timers (those that run go by the new
definition from then on), and arguments of undos, of which the log's word counts. Everything else, and how far the
execution has come, is the same, or it stays where it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from itertools import zip_longest
from typing import Any

from stagedoor.workflow.commands import (
    Call,
    CancelTimer,
    Command,
    RegisterCompensation,
    SetAttributes,
    StartTimer,
)
from stagedoor.workflow.definition import Definition
from stagedoor.workflow.error import ReplayMismatch
from stagedoor.workflow.events import Event, ExecutionMigrated, ExecutionStarted
from stagedoor.workflow.machine import Machine

Json = Any


@dataclass(frozen=True, slots=True)
class Difference:
    """The first one."""

    event: int
    """The number of the event, from 1, after which the two go different ways."""
    type: str
    was: str | None
    """What was asked for; None: nothing more."""
    would: str | None
    """And by the other definition; None likewise."""

    def __str__(self) -> str:
        return (
            f"after event {self.event} ({self.type}) it would ask for {self.would or 'nothing more'}, "
            f"where {self.was or 'nothing more'} was asked for"
        )


def machine_of(definition: Definition, events: Sequence[Event]) -> Machine:
    """One that can be fed with these events, whether or not they hold migrations. Nothing is fed yet."""
    first = events[0] if events else None
    migrations = [event.definition for event in events if isinstance(event, ExecutionMigrated)]
    if isinstance(first, ExecutionStarted) and migrations[-1:] == [definition.hash]:
        return Machine(definition, first.definition)
    return Machine(definition)


def compare(old: Definition, new: Definition, events: Sequence[Event]) -> tuple[Machine, Machine] | Difference:
    """Both machines, fed with all events, or where they part. Raises ``ReplayMismatch`` if the events are not of the
    old definition."""
    first = events[0]
    if not isinstance(first, ExecutionStarted):
        raise ReplayMismatch("the history does not go back to the start")
    one, other = machine_of(old, events), Machine(new, first.definition)
    return differ(one, other, events) or (one, other)


def differ(one: Machine, other: Machine, events: Sequence[Event]) -> Difference | None:
    """Feeds both, as far as they ask for the same. Raises ``ReplayMismatch`` if the events are not of the first."""
    for number, event in enumerate(events, start=1):
        was = _counted(one.feed(event))
        try:
            would = _counted(other.feed(event))
        except ReplayMismatch as mismatch:
            return Difference(number, type(event).__name__, "what was answered", f"something else: {mismatch}")
        for left, right in zip_longest(was, would):
            if left is None or right is None or _essence(left) != _essence(right):
                return Difference(number, type(event).__name__, _told(left), _told(right, left))
    return None


def _counted(commands: list[Command]) -> list[Command]:
    """Without those that may differ."""
    return [each for each in commands if not isinstance(each, SetAttributes | StartTimer | CancelTimer)]


def _essence(command: Command) -> Any:
    return ("undo", command.task) if isinstance(command, RegisterCompensation) else command


def _told(command: Command | None, other: Command | None = None) -> str | None:
    """``other`` is what was asked for instead: of the same thing only what is not the same is told."""
    if command is None:
        return None
    name = getattr(command, "id", None) or getattr(command, "task", None)
    told = f"{type(command).__name__} {name}" if name else type(command).__name__
    if isinstance(command, Call):
        told = f"the call {command.id} ({command.method} {command.endpoint})"
    if type(command) is not type(other) or getattr(other, "id", None) != getattr(command, "id", None):
        return told
    unlike = [each.name for each in fields(command) if getattr(command, each.name) != getattr(other, each.name)]
    return f"{told} with another {', '.join(unlike)}"
