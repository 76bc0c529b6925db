"""Executions out of the store: at the start, when one is woken that was parked, and to be shown."""

from __future__ import annotations

import logging
from collections.abc import Callable

from stagedoor.engine import telling
from stagedoor.engine.definitions import Definitions
from stagedoor.engine.event_log import Append
from stagedoor.engine.execution import Execution
from stagedoor.engine.history import History, Past
from stagedoor.engine.telling import Wanted
from stagedoor.workflow.definition import Definition
from stagedoor.workflow.error import ReplayMismatch
from stagedoor.workflow.machine import Machine
from stagedoor.workflow.migration import machine_of
from stagedoor.workflow.snapshot import SnapshotUnreadable

Watch = tuple[Callable[[Machine], None], Callable[[int, float], None]]
"""Called with a machine before it is fed, and with the number and the time of each event after it."""
log = logging.getLogger("stagedoor.engine")


def revive(execution: Execution, history: History, definitions: Definitions, wanted: Wanted) -> list[Append]:
    """Give it a machine that has been fed with all that is committed; what the sink is owed of its tasks. Raises
    whatever keeps the machine from it."""
    mark, owed = execution.told, list[Append]()

    def watch(machine: Machine) -> None:
        owed.clear()
        execution.machine, execution.told = machine, mark
        telling.watch(execution)

    def fed(seq: int, at: float) -> None:
        found = telling.told(execution, seq, at, wanted)
        if found is not None:
            owed.append(found)

    told = None if mark is None else (watch, fed)
    try:
        machine, past = read_back(history, execution.id, definitions.of(execution.row.definition), told)
    except BaseException:
        execution.machine = None
        raise
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
    return owed


def read_back(
    history: History, execution: str, definition: Definition, told: Watch | None = None
) -> tuple[Machine, Past]:
    """An execution's machine as everything that is committed leaves it, and what it was read from. Raises
    ``ReplayMismatch``; ``SnapshotUnreadable`` where there is nothing but the snapshot to go by."""
    past = history.past(execution)
    machine = restored(execution, definition, past, told)
    if machine is None:
        past = history.past(execution, whole=True)
        machine = _fed(machine_of(definition, past.tail), past, told)
    return machine, past


def restored(execution: str, definition: Definition, past: Past, told: Watch | None = None) -> Machine | None:
    """None: the snapshot is of no use, and all events are there. It takes as long as they do, and reads no store.
    Raises as above."""
    if past.snapshot is None:
        return _fed(machine_of(definition, past.tail), past, told)
    try:
        return _fed(Machine.restore(definition, past.snapshot.state), past, told)
    except (SnapshotUnreadable, ReplayMismatch) as why:
        if past.snapshot.compacted:
            raise
        log.warning("read from its beginning: %s", why, extra={"execution": execution})
        return None


def _fed(machine: Machine, past: Past, told: Watch | None) -> Machine:
    if told is not None:
        told[0](machine)
    for seq, event in enumerate(past.tail, past.seq - len(past.tail)):
        machine.feed(event)
        if told is not None:
            told[1](seq, event.at)
    return machine
