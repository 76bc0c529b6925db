"""What becomes of tasks, told to the sink: it follows from the log, so it is written once an event is fed, and found
again after a crash in between by feeding the event again.

A mark for each execution says up to which event that is done. It is written with what is told, in the order of the log;
so nothing is left out when a later event, or the end, is in the log.
"""

from __future__ import annotations

from stagedoor.engine import lifecycle
from stagedoor.engine.event_log import Append
from stagedoor.engine.execution import Execution
from stagedoor.engine.record import encode_json
from stagedoor.engine.statement import OVER

FIRST = -1
"""The mark of an execution of which nothing was told yet."""


def watch(execution: Execution) -> None:
    """From now on its machine says what becomes of its tasks."""
    assert execution.machine is not None
    execution.machine.moves = []
    if execution.told is None:
        execution.told = FIRST


def over(execution: str) -> Append:
    """Nothing more is told of its tasks."""
    return Append(execution, 0, "", 0.0, "", told=OVER)


def told(execution: Execution, seq: int, at: float) -> Append | None:
    """What the sink is owed after the event ``seq`` was fed, if it does not have it; or None, also while the machine is
    not through with the event."""
    machine, row, mark = execution.machine, execution.row, execution.told
    if machine is None or machine.busy or not machine.moves or mark is None:
        return None
    moves, machine.moves = machine.moves, []
    if seq <= mark:
        return None
    events = [encode_json(lifecycle.moved(row, move, seq, index, at)) for index, move in enumerate(moves)]
    execution.told = seq
    return Append(row.id, seq, "", at, "", outbox=tuple(events), told=seq)
