"""How executions are shown to an operator, as JSON, out of their rows and events."""

from __future__ import annotations

from typing import Any

from stagedoor.engine.execution import when
from stagedoor.engine.history import Row
from stagedoor.workflow.events import Event, ExecutionMigrated, ExecutionStarted, IncidentOpened, IncidentResolved

Json = Any
ORIGIN = ("execution", "event", "task", "edited", "undos", "by", "reason")


def origin(row: Row) -> dict[str, Json]:
    return {"route": row.route, "consumer": row.consumer, "idempotencyKey": row.key, "definition": row.definition}


def told(row: Row, events: list[Event], below: list[Json]) -> dict[str, Json]:
    """What an execution's first event, its incidents and its migrations tell. ``below`` are incidents of others."""
    told = origin(row) | {"incidents": [*incidents(events), *below], "migrations": _migrations(events)}
    if events and isinstance(events[0], ExecutionStarted):
        told["input"] = events[0].input
        told["origin"] = _restarted(events[0].origin)
    return told


def _restarted(origin: Json) -> Json:
    """From where an execution was restarted, without what only a machine needs; null if it was not."""
    return None if origin is None else {name: origin[name] for name in ORIGIN}


def _migrations(events: list[Event]) -> list[Json]:
    return [
        {"at": when(each.at), "version": each.version, "previous": each.previous, "by": each.by, "reason": each.reason}
        for each in events
        if isinstance(each, ExecutionMigrated)
    ]


def incidents(events: list[Event]) -> list[Json]:
    found: dict[str, Json] = {}
    for event in events:
        if isinstance(event, IncidentOpened):
            found[event.incident] = {
                "id": event.incident,
                "task": event.task,
                "error": event.error,
                "arguments": event.arguments,
                "opened": when(event.at),
                "resolved": None,
            }
        elif isinstance(event, IncidentResolved) and event.incident in found:
            said = {"action": event.action, "by": event.by, "reason": event.reason, "at": when(event.at)}
            found[event.incident]["resolved"] = said
    return list(found.values())
