"""Executions out of their events: at the start, and when one is woken that was parked."""

from __future__ import annotations

from collections.abc import Sequence

from stagedoor.engine.definitions import Definitions
from stagedoor.engine.execution import Execution
from stagedoor.workflow.events import Event, ExecutionStarted, IncidentOpened, IncidentResolved
from stagedoor.workflow.migration import machine_of


def revive(execution: Execution, events: Sequence[Event], definitions: Definitions) -> None:
    """Give it a machine that has been fed with these. Raises whatever keeps the machine from it."""
    first = events[0]
    if execution.recovered and isinstance(first, ExecutionStarted):
        execution.parent, execution.trace = first.parent, first.trace
        execution.caller_token = False if first.caller_token else None
    machine = machine_of(definitions.of(execution.row.definition), events)
    for event in events:
        machine.feed(event)
        if isinstance(event, IncidentOpened):
            execution.incidents.add(event.incident)
        elif isinstance(event, IncidentResolved):
            execution.incidents.discard(event.incident)
    execution.machine = machine
