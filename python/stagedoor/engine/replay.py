"""A recorded history: one execution's document and events as one JSON value, and what today's machine makes of it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stagedoor.engine.history import Past, Row
from stagedoor.engine.record import decode, encode
from stagedoor.errors import InvalidDefinition, StagedoorError
from stagedoor.workflow.commands import Command
from stagedoor.workflow.definition import Definition
from stagedoor.workflow.error import ReplayMismatch
from stagedoor.workflow.events import Event, ExecutionStarted
from stagedoor.workflow.machine import Machine
from stagedoor.workflow.migration import machine_of
from stagedoor.workflow.parse import restore
from stagedoor.workflow.snapshot import SnapshotUnreadable

FORMAT = 1
SINCE_SNAPSHOT = 2
"""Format of a history that begins at a snapshot."""
MAX_BYTES = 256 * 1024 * 1024
"""A larger file is refused."""
Json = Any


class NotAHistory(StagedoorError):
    """A file that is no recorded history, or one of a release to come."""


@dataclass(frozen=True, slots=True)
class Replayed:
    events: int
    status: str
    timeline: list[dict[str, Json]]
    """Times are seconds since the epoch."""
    pending: list[Command]
    """What the history leaves unanswered."""
    commands: int
    mismatch: str | None = None
    """Why the machine would not have gone this way; it then holds what happened before."""


def recorded(row: Row, document: Json, past: Past) -> Json:
    """As JSON: ``format execution workflow version status document events``; an event is ``{type, at, data}``.

    One that begins at a snapshot has it as ``snapshot: {seq, at, state}``, and in ``kept`` those of the events before
    it that are still there."""
    stored = past.snapshot
    begins: dict[str, Json] = {}
    if stored is not None:
        at_snapshot = {"seq": stored.seq, "at": stored.at, "state": stored.state}
        begins = {"snapshot": at_snapshot, "kept": [_written(event) for event in past.facts]}
    return {
        "format": FORMAT if stored is None else SINCE_SNAPSHOT,
        "execution": row.id,
        "workflow": row.workflow,
        "version": row.version,
        "definition": row.definition,
        "status": row.status,
        "document": document,
        **begins,
        "events": [_written(event) for event in past.tail],
    }


def _written(event: Event) -> Json:
    return {"type": type(event).__name__, "at": event.at, "data": json.loads(encode(event))}


def read_history(path: Path) -> Json:
    """Raises ``NotAHistory``, ``OSError``."""
    with path.open("rb") as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise NotAHistory(f"{path} is larger than {MAX_BYTES >> 20} MiB")
    try:
        history = json.loads(content)
    except ValueError as error:
        raise NotAHistory(f"{path} is not JSON: {error}") from None
    parts = {"document", "events"}
    if not isinstance(history, dict) or not parts <= set(history) or not isinstance(history["events"], list):
        raise NotAHistory(f"{path} is not a recorded history: it is an object with 'document' and 'events'")
    if history.get("format", FORMAT) not in (FORMAT, SINCE_SNAPSHOT):
        raise NotAHistory(f"{path} has format {history['format']!r}, this release reads up to {SINCE_SNAPSHOT}")
    if history.get("format") == SINCE_SNAPSHOT and not isinstance(history.get("snapshot"), dict):
        raise NotAHistory(f"{path} is of format {SINCE_SNAPSHOT} and has no 'snapshot'")
    return history


def replay(history: Json, definition: Definition | None = None) -> Replayed:
    """Feeds every event. ``definition``: another document than the history's own, as if the execution had run by it.

    Raises ``NotAHistory`` where an event cannot be read or the history's document cannot be run by this release.
    """
    events = [_event(index, each) for index, each in enumerate(history["events"])]
    own = definition
    if own is None:
        try:
            own = restore(history["document"])
        except InvalidDefinition as invalid:
            raise NotAHistory(f"its document cannot be run by this release: {invalid}") from None
    machine = _begun(own, history.get("snapshot"), definition, events)
    commands, fed, mismatch = 0, 0, None
    for number, event in enumerate(events, start=1):
        if definition is not None and isinstance(event, ExecutionStarted):
            event = decode("ExecutionStarted", event.at, _with_hash(event, definition.hash))
        try:
            commands += len(machine.feed(event))
        except ReplayMismatch as error:
            mismatch = f"event {number} ({type(event).__name__}): {error}"
            break
        fed = number
    return Replayed(fed, machine.status, machine.timeline(), machine.pending(), commands, mismatch)


def _begun(own: Definition, snapshot: Json, other: Definition | None, events: list[Event]) -> Machine:
    if snapshot is None:
        return machine_of(own, events) if other is None else Machine(own)
    if other is not None:
        raise NotAHistory("the history begins at a snapshot: only its own document can go on from there")
    try:
        return Machine.restore(own, snapshot["state"])
    except (KeyError, SnapshotUnreadable) as why:
        raise NotAHistory(f"it begins at a snapshot that cannot be read: {why}") from None


def _with_hash(event: ExecutionStarted, hash: str) -> str:
    return json.dumps({**json.loads(encode(event)), "definition": hash})


def _event(index: int, said: Json) -> Event:
    try:
        return decode(said["type"], float(said["at"]), json.dumps(said["data"]))
    except (KeyError, TypeError, ValueError):
        raise NotAHistory(f"events[{index}] is not an event that this release knows") from None
