"""What becomes of executions, as CloudEvents for the sink: written in the transaction of what they tell."""

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

Json = Any

PREFIX = "org.openworkflow.workflow."
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
    namespace, _, workflow = row.workflow.partition("/")
    data: dict[str, Json] = {
        "name": row.id,
        "definition": {"namespace": namespace, "name": workflow, "version": row.version},
        time: when(event.at),
    }
    if isinstance(event, ExecutionFaulted):
        data["error"] = event.error
    if isinstance(event, ExecutionFaulted | ExecutionCancelled) and event.compensation["status"] != "none":
        data["compensation"] = event.compensation
    return {
        "specversion": "1.0",
        "id": f"{row.id}#{seq}",
        "source": f"/workflows/{row.workflow}",
        "type": f"{PREFIX}{name}.v1",
        "subject": row.id,
        "time": when(event.at),
        "datacontenttype": "application/json",
        "data": data,
    }
