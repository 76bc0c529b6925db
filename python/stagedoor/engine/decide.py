"""An operator's word on an execution that has not ended: it is taken once, or refused with the reason.

A word counts from the moment it is taken, not from when it is in the log: of two that contradict each other, one is
taken.
"""

from __future__ import annotations

import time
from typing import Any, Literal

from stagedoor.engine.embedded import Engine
from stagedoor.engine.execution import Execution
from stagedoor.errors import Conflict
from stagedoor.workflow.events import CancelRequested, Event, IncidentResolved, ResumeRequested, SuspendRequested

Json = Any
Action = Literal["retry", "skip", "done", "edit"]


class Decider:
    """Every method raises ``Conflict`` if that cannot be said now."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def cancel(self, execution: Execution, reason: str, by: str) -> None:
        """Stop, and undo what was done."""
        self._ready(execution)
        before = _asked(execution, CancelRequested)
        if before is not None:
            raise Conflict(f"it is being cancelled already, by {before.by}")
        _going_forward(execution)
        self._take(execution, CancelRequested(time.time(), reason, by))

    def suspend(self, execution: Execution, reason: str, by: str) -> None:
        """Begin no further task."""
        self._ready(execution)
        held = _held(execution)
        if held is not None:
            raise Conflict(f"{held.by or 'somebody'} has suspended it already: {held.reason}")
        if _asked(execution, CancelRequested) is not None:
            raise Conflict("it is being cancelled, and what it did is undone: that is not held up")
        _going_forward(execution)
        self._take(execution, SuspendRequested(time.time(), reason, by), status="suspended")

    def resume(self, execution: Execution, reason: str, by: str) -> None:
        """Go on."""
        self._ready(execution)
        if _held(execution) is None:
            if execution.incidents:
                raise Conflict(f"nobody has suspended it: it waits for a decision on {min(execution.incidents)}")
            raise Conflict("it is not suspended")
        status = "suspended" if execution.incidents else "running"
        self._take(execution, ResumeRequested(time.time(), reason, by), status=status)

    def resolve(
        self, execution: Execution, incident: str, action: Action, by: str, reason: str, arguments: Json = None
    ) -> None:
        """Decide on an incident."""
        self._ready(execution)
        if incident not in execution.incidents:
            raise Conflict(_decided(execution, incident) or "the incident is not open")
        execution.incidents.discard(incident)
        event = IncidentResolved(time.time(), incident, action, by, reason, arguments)
        left = len(execution.incidents)
        held = _held(execution) is not None
        self._take(execution, event, status="suspended" if left or held else "running", incidents=left)

    def _ready(self, execution: Execution) -> None:
        """It may have been parked: what it is about is then not known yet."""
        if not self._engine.wake(execution):
            raise Conflict(f"the engine cannot go on with it: {execution.broken}")

    def _take(self, execution: Execution, event: Event, *, status: str | None = None, **more: Any) -> None:
        execution.asked.append(event)
        self._engine.append(execution, event, status=status, **more)
        self._engine.flush_soon()


def _asked(execution: Execution, kind: type[CancelRequested]) -> CancelRequested | None:
    """A word that is on its way into the log."""
    return next((each for each in execution.asked if isinstance(each, kind)), None)


def _held(execution: Execution) -> SuspendRequested | None:
    """Who has suspended it, also if that is on its way into the log."""
    for each in reversed(execution.asked):
        if isinstance(each, CancelRequested | ResumeRequested):
            return None
        if isinstance(each, SuspendRequested):
            return each
    return None if execution.machine is None else execution.machine.held


def _going_forward(execution: Execution) -> None:
    if execution.machine is not None and not execution.machine.forward:
        raise Conflict("it has failed or was cancelled, and what it did is being undone")


def _decided(execution: Execution, incident: str) -> str | None:
    for each in execution.asked:
        if isinstance(each, IncidentResolved) and each.incident == incident:
            return f"{each.by} has decided on it already: {each.action}"
    by = None if execution.machine is None else execution.machine.decided(incident)
    return None if by is None else f"{by} has decided on it already"
