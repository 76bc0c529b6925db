"""What becomes of tasks and of their listeners, told to the sink: it follows from the log, so it is written once an
event is fed, and found again after a crash in between by feeding the event again.

A mark for each execution says up to which event that is done. It is written with what is told, in the order of the log;
so nothing is left out when a later event, or the end, is in the log.
"""

from __future__ import annotations

from dataclasses import dataclass

from stagedoor.engine import lifecycle
from stagedoor.engine.event_log import Append
from stagedoor.engine.execution import Execution
from stagedoor.engine.history import Row
from stagedoor.engine.record import encode_json
from stagedoor.engine.statement import OVER
from stagedoor.workflow.definition import Definition
from stagedoor.workflow.move import Correlating, Move

FIRST = -1
"""The mark of an execution of which nothing was told yet."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the sink is to be told."""

    executions: bool = False
    tasks: bool = False

    def follows(self, definition: Definition) -> bool:
        """Whether any of it comes of feeding an execution of this definition."""
        return self.tasks or (self.executions and definition.listens)


def watch(execution: Execution) -> None:
    """From now on its machine says what becomes of its tasks."""
    assert execution.machine is not None
    execution.machine.moves = []
    if execution.told is None:
        execution.told = FIRST


def over(execution: str) -> Append:
    """Nothing more is told of its tasks."""
    return Append(execution, 0, "", 0.0, "", told=OVER)


def told(execution: Execution, seq: int, at: float, wanted: Wanted) -> Append | None:
    """What the sink is owed after the event ``seq`` was fed, if it does not have it; or None, also while the machine is
    not through with the event."""
    machine, row, mark = execution.machine, execution.row, execution.told
    if machine is None or machine.busy or not machine.moves or mark is None:
        return None
    moves, machine.moves = machine.moves, []
    if seq <= mark:
        return None
    events = [_event(row, move, seq, index, at) for index, move in enumerate(moves) if _wants(wanted, move)]
    if not events:
        return None
    execution.told = seq
    return Append(row.id, seq, "", at, "", outbox=tuple(events), told=seq)


def begun(execution: Execution, append: Append, wanted: Wanted) -> None:
    """What it led to is written together with it, and with the mark."""
    if execution.told is None:
        execution.told = FIRST
    owed = told(execution, append.seq, append.at, wanted)
    append.told = execution.told
    append.outbox += () if owed is None else owed.outbox


def _wants(wanted: Wanted, move: Move | Correlating) -> bool:
    return wanted.executions if isinstance(move, Correlating) else wanted.tasks


def _event(row: Row, move: Move | Correlating, seq: int, index: int, at: float) -> str:
    tell = lifecycle.correlating if isinstance(move, Correlating) else lifecycle.moved
    return encode_json(tell(row, move, seq, index, at))  # type: ignore[arg-type]
