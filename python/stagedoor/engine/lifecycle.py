"""What becomes of executions and of their tasks, as CloudEvents for the sink."""

from __future__ import annotations

from typing import Any

from stagedoor.engine.execution import when
from stagedoor.engine.history import Row
from stagedoor.workflow.events import (
    Event,
    ExecutionCancelled,
    ExecutionCompleted,
    ExecutionFaulted,
    ExecutionStarted,
    IncidentOpened,
    ResumeRequested,
    SuspendRequested,
)
from stagedoor.workflow.move import Correlating, Move

Json = Any

PREFIX = "org.openworkflow.workflow."
PREFIX_OF_TASKS = "org.openworkflow.task."
FOR_SINKS = (PREFIX, PREFIX_OF_TASKS)
"""Types of events that this gateway's own listeners do not see."""
TOLD: dict[type, tuple[str, str]] = {
    ExecutionStarted: ("started", "startedAt"),
    SuspendRequested: ("suspended", "suspendedAt"),
    IncidentOpened: ("suspended", "suspendedAt"),
    ResumeRequested: ("resumed", "resumedAt"),
    ExecutionCompleted: ("completed", "completedAt"),
    ExecutionFaulted: ("faulted", "faultedAt"),
    ExecutionCancelled: ("cancelled", "cancelledAt"),
}
"""Event of the log → how it is called, and its time."""


def told(row: Row, event: Event, seq: int) -> Json | None:
    """The CloudEvent for an event of the log, or None. It holds an error and what was undone, and neither input nor
    output: these may be anybody's, and the sink is not asked whose."""
    found = TOLD.get(type(event))
    if found is None:
        return None
    name, time = found
    data: dict[str, Json] = {"name": row.id, "definition": _definition(row), time: when(event.at)}
    if isinstance(event, ExecutionFaulted):
        data["error"] = event.error
    if isinstance(event, ExecutionFaulted | ExecutionCancelled) and event.compensation["status"] != "none":
        data["compensation"] = event.compensation
    return _event(row, f"{row.id}#{seq}", f"{PREFIX}{name}.v1", event.at, data)


def moved(row: Row, move: Move, seq: int, index: int, at: float) -> Json:
    """The CloudEvent for what became of a task when the log's event ``seq`` was fed, as the ``index``-th of these: the
    same whenever that is fed again. Without input and output too."""
    data: dict[str, Json] = {"workflow": row.id, "definition": _definition(row), "task": move.task}
    if move.path:
        data["iteration"] = move.path
    if move.undoes is not None:
        data["compensates"] = move.undoes
    data[f"{move.what}At"] = when(at)
    if move.what == "faulted":
        data["error"] = move.error
    return _event(row, f"{row.id}#{seq}.{index}", f"{PREFIX_OF_TASKS}{move.what}.v1", at, data)


def correlating(row: Row, told: Correlating, seq: int, index: int, at: float) -> Json:
    """The CloudEvent for a listener of the execution that begins, or has all its events; its id is made as above."""
    data: dict[str, Json] = {"name": row.id, "definition": _definition(row), "task": told.task}
    if told.path:
        data["iteration"] = told.path
    data[f"{told.what}At"] = when(at)
    if told.keys:
        data["correlationKeys"] = told.keys
    return _event(row, f"{row.id}#{seq}.{index}", f"{PREFIX}correlation-{told.what}.v1", at, data)


def _definition(row: Row) -> Json:
    namespace, _, workflow = row.workflow.partition("/")
    return {"namespace": namespace, "name": workflow, "version": row.version}


def _event(row: Row, id: str, type: str, at: float, data: Json) -> Json:
    return {
        "specversion": "1.0",
        "id": id,
        "source": f"/workflows/{row.workflow}",
        "type": type,
        "subject": row.id,
        "time": when(at),
        "datacontenttype": "application/json",
        "data": data,
    }
