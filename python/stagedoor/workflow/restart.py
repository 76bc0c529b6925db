"""Where in the history of an execution a task began, so that another execution can begin there.

The new one takes over all that had happened until then, event by event, and comes to the same state without doing any
of it again. That is refused where it would do something twice: where other things were under way at that moment, and
where what was done before has been undone since.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from stagedoor.errors import Conflict
from stagedoor.workflow.child_undo import ChildUndo
from stagedoor.workflow.commands import Call, RegisterCompensation, SetAttributes, StartTimer
from stagedoor.workflow.definition import Definition
from stagedoor.workflow.error import ReplayMismatch
from stagedoor.workflow.events import (
    AttributesSet,
    CompensationRegistered,
    Event,
    ExecutionMigrated,
    ExecutionRestarted,
    ExecutionStarted,
)
from stagedoor.workflow.machine import Machine
from stagedoor.workflow.migration import differ, machine_of
from stagedoor.workflow.undo import Undo

Json = Any
Stops = list[list[Json]]

MOST_NAMES = 10
"""Places that an error lists."""


@dataclass(frozen=True, slots=True)
class Cut:
    event: int
    """The number of the event, from 1, that led to the task."""
    task: str
    """Its reference, with its iterations."""
    began: str
    """The id under which all began."""
    stops: Stops
    """See ``ExecutionStarted.origin``; the last one is this."""
    events: list[Event]
    """To be taken over, the start first; as they are in the origin, but for migrations, which are of no account."""
    undos: list[str]
    """Tasks that were done and could be undone then, and still can."""
    kept: list[str]
    """Tasks that were done and could be undone then, and are not this execution's to undo any more."""


def cut(old: Definition, new: Definition, events: Sequence[Event], task: str) -> Cut:
    """Directly before the last run of a task, which is named, or given by its reference, with its iterations where
    there are any. ``new`` is the definition that is to go on, perhaps the old one. Raises ``Conflict``."""
    end = machine_of(old, events)
    try:
        number, identity = _began(end, events, task)
    except ReplayMismatch as mismatch:
        raise Conflict(f"its own history does not lead to where it stands: {mismatch}") from None
    last = number
    # What the machine said of its state then, and the log has behind the event.
    while last < len(events) and isinstance(events[last], CompensationRegistered | AttributesSet):
        last += 1
    stops, kept = _stops(events, last)
    stops.append([sum(not isinstance(event, ExecutionMigrated) for event in events[:number]), identity])
    first = kept[0]
    assert isinstance(first, ExecutionStarted)
    began = first.execution if first.resumes is None else first.resumes["began"]
    trial = [replace(first, definition=new.hash, origin={"task": identity, "began": began, "stops": stops}), *kept[1:]]
    machine = Machine(new)
    if new.hash == old.hash:
        for event in trial:
            machine.feed(event)
    elif (found := differ(Machine(old, new.hash), machine, trial)) is not None:
        raise Conflict(f"version {new.version} goes another way: {found}")
    if machine.about_to_begin != identity:
        raise Conflict(f"version {new.version} does not come to {identity}")
    _undisturbed(machine, identity)
    return Cut(number, identity, began, stops, kept, *_undos(machine, end))


def _began(machine: Machine, events: Sequence[Event], task: str) -> tuple[int, str]:
    """The number of the event by which the last run began, and which run that is; the machine is fed with all."""
    found: dict[str, int] = {}
    names: dict[str, None] = {}
    seen = 0
    for number, event in enumerate(events, start=1):
        machine.feed(event)
        entries = machine.runs.entries
        for entry in entries[seen:]:
            identity = f"{entry.task}{entry.path}"
            if entry.undoes is None and entry.kind != "incident":
                names[identity] = None
                if task in (entry.name, entry.task, identity):
                    found[identity] = number
        seen = len(entries)
    if not found:
        raise Conflict(f"it never came to {task!r}; it came to {_listed(names)}")
    if len(found) > 1:
        raise Conflict(f"{task!r} ran more than once; say which: {_listed(found)}")
    [(identity, number)] = found.items()
    return number, identity


def _listed(names: dict[str, Any]) -> str:
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return ", ".join(list(names)[-MOST_NAMES:]) + more if names else "no task"


def _stops(events: Sequence[Event], last: int) -> tuple[Stops, list[Event]]:
    """Restarts that are taken over, counted without migrations, and the events."""
    kept: list[Event] = [event for event in events[:last] if not isinstance(event, ExecutionMigrated)]
    first = events[0]
    if not isinstance(first, ExecutionStarted) or first.resumes is None:
        return [], kept
    taken = sum(isinstance(event, ExecutionRestarted) for event in kept)
    stops = []
    for number, task in first.resumes["stops"][:taken]:
        stops.append([number - sum(isinstance(event, ExecutionMigrated) for event in events[:number]), task])
    return stops, kept


def _undisturbed(machine: Machine, identity: str) -> None:
    said = RegisterCompensation | SetAttributes | StartTimer
    others = [each for each in machine.pending() if not isinstance(each, said)]
    if others:
        what = others[0]
        told = f"the call {what.method} {what.endpoint}" if isinstance(what, Call) else type(what).__name__
        place = getattr(what, "task", None) or getattr(what, "id", "")
        raise Conflict(
            f"when {identity} began, something else was under way: {told} of {place}; restart from the task around both"
        )
    if not machine.undisturbed:
        raise Conflict(f"when {identity} began, something was being stopped or undone")


def _undos(machine: Machine, end: Machine) -> tuple[list[str], list[str]]:
    """``undos`` and ``kept`` of a cut. Raises ``Conflict`` for what has been undone since."""
    now = {_key(each): each for each in end.saga.entries.values() if isinstance(each, Undo)}
    found: list[str] = []
    kept: list[str] = []
    for undo in machine.saga.entries.values():
        if isinstance(undo, Undo) and undo.status == "registered":
            since = now.get(_key(undo))
            if since is None or since.attempts > 0 or since.status in ("compensated", "done"):
                raise Conflict(
                    f"what {undo.reference}{undo.path} did has been undone since, or that was tried: restart from the "
                    f"start, or from a task that was not undone"
                )
            # What another execution did for it is undone for the one that ran it.
            others = since.status == "kept" or isinstance(undo, ChildUndo)
            (kept if others else found).append(f"{undo.reference}{undo.path}")
    return found, kept


def _key(undo: Undo) -> tuple[str, str, int]:
    return undo.reference, undo.path, undo.group
