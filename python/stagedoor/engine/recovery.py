"""Executions out of the store: at the start, when one is woken that was parked, and to be shown."""

from __future__ import annotations

import logging

from stagedoor.engine.definitions import Definitions
from stagedoor.engine.execution import Execution
from stagedoor.engine.history import History, Past
from stagedoor.workflow.definition import Definition
from stagedoor.workflow.machine import Machine, ReplayMismatch
from stagedoor.workflow.migration import machine_of
from stagedoor.workflow.snapshot import SnapshotUnreadable

log = logging.getLogger("stagedoor.engine")


def revive(execution: Execution, history: History, definitions: Definitions) -> None:
    """Give it a machine that has been fed with all that is committed. Raises whatever keeps the machine from it."""
    machine, past = read_back(history, execution.id, definitions.of(execution.row.definition))
    started = machine.started
    if execution.recovered and started is not None:
        execution.parent, execution.trace = started.parent, started.trace
        execution.caller_token = False if started.caller_token else None
    execution.incidents.update(machine.incidents)
    execution.seq, execution.updated = past.seq, past.at
    execution.fed = past.seq - 1
    execution.size = execution.size or history.size(execution.id)
    execution.since, execution.since_bytes = len(past.tail), past.size
    execution.snapshot_bytes = 0 if past.snapshot is None else past.snapshot.size
    execution.machine = machine


def read_back(history: History, execution: str, definition: Definition) -> tuple[Machine, Past]:
    """An execution's machine as everything that is committed leaves it, and what it was read from. Raises
    ``ReplayMismatch``; ``SnapshotUnreadable`` where there is nothing but the snapshot to go by."""
    past = history.past(execution)
    machine = restored(execution, definition, past)
    if machine is None:
        past = history.past(execution, whole=True)
        machine = _fed(machine_of(definition, past.tail), past)
    return machine, past


def restored(execution: str, definition: Definition, past: Past) -> Machine | None:
    """None: the snapshot is of no use, and all events are there. It takes as long as they do, and reads no store.
    Raises as above."""
    if past.snapshot is None:
        return _fed(machine_of(definition, past.tail), past)
    try:
        return _fed(Machine.restore(definition, past.snapshot.state), past)
    except (SnapshotUnreadable, ReplayMismatch) as why:
        if past.snapshot.compacted:
            raise
        log.warning("read from its beginning: %s", why, extra={"execution": execution})
        return None


def _fed(machine: Machine, past: Past) -> Machine:
    for event in past.tail:
        machine.feed(event)
    return machine
