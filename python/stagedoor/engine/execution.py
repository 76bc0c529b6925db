"""One execution that has not ended, in memory: its machine and who waits for it."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from stagedoor import _core
from stagedoor.engine.history import Row
from stagedoor.workflow.events import Event, ExecutionCancelled, ExecutionCompleted, ExecutionFaulted
from stagedoor.workflow.machine import Machine

if TYPE_CHECKING:
    from stagedoor.engine.slots import Slots

Json = Any
Final = ExecutionCompleted | ExecutionFaulted | ExecutionCancelled

STATUS: dict[type, str] = {
    ExecutionCompleted: "completed",
    ExecutionFaulted: "faulted",
    ExecutionCancelled: "cancelled",
}
ENDED = frozenset(STATUS.values())


class Committed(NamedTuple):
    """An event that is in the log; the size is that of its data there."""

    event: Event
    seq: int
    size: int


@dataclass(slots=True, eq=False)
class Execution:
    row: Row
    machine: Machine | None
    """None while it is parked, and where its history could not be read back."""
    trace: str | None = None
    caller_token: _core.CallerToken | Literal[False] | None = None
    """Of whoever started it, for calls on its behalf: in memory alone. False: there was one, before a restart."""
    parent: Json = None
    """``{execution, run, depth}`` of the task that runs it."""
    parked: bool = False
    """It waits for points in time alone, and its machine is out of memory."""
    recovered: bool = False
    """Read back from the store at the start."""
    after: int = 0
    """The last event of the inbox that had come when it began, or was read back."""
    seq: int = 0
    """Of the next event."""
    fed: int = -1
    """The number of the last event that the machine was fed with."""
    since: int = 0
    """Events since the last snapshot."""
    since_bytes: int = 0
    """Characters of their JSON."""
    snapshot_bytes: int = 0
    """And of the last snapshot."""
    told: int | None = None
    """The last event of which the sink is told what became of tasks; None: it is not."""
    updated: float = 0.0
    started: bool = False
    """Its first event is committed."""
    size: int = 0
    """Bytes of its events as JSON."""
    limited: bool = False
    """It came to a limit of its own, and was told."""
    backlog: list[Committed] = field(default_factory=list)
    """Committed events that its machine has not heard of yet."""
    hearing: Committed | None = None
    """The last one that its machine has heard of."""
    in_turn: bool = False
    """It waits for a turn to go on."""
    calls: dict[str, int] = field(default_factory=dict)
    """Calls on their way: the command's id → the data plane's number."""
    queued: dict[str, Slots] = field(default_factory=dict)
    """Calls that wait for a slot, by the command's id."""
    waiting: dict[int, asyncio.TimerHandle | float] = field(default_factory=dict)
    """Callouts that wait for the end, each with the end of its patience: as the loop's time until it has begun, 0 where
    there is none."""
    incidents: set[str] = field(default_factory=set)
    """Those that wait for an operator."""
    final: Final | None = None
    """Known before it is committed: it follows from what is committed."""
    asked: list[Event] = field(default_factory=list)
    """An operator's words that are on their way into the log, the first one first."""
    kept: list[tuple[Event, Callable[[], None]]] | None = None
    """While it is migrated: what is to be appended once that is over."""
    broken: str | None = None
    """The machine failed; nothing more happens until the next start of the gateway."""

    @property
    def id(self) -> str:
        return self.row.id

    @property
    def above(self) -> str | None:
        """The execution that runs it, or undoes it."""
        if self.machine is not None and self.machine.undo is not None:
            return self.machine.undo.by
        return None if self.parent is None else str(self.parent["execution"])

    @property
    def status(self) -> str:
        """One of ``STATUS``, or how the machine is getting on; what that has come to counts once it is ``final``."""
        if self.final is not None:
            return STATUS[type(self.final)]
        if self.parked:
            return "waiting"
        status = self.row.status if self.machine is None else self.machine.status
        return "running" if status in ENDED else status


def new_id() -> str:
    """A UUID of version 7 (RFC 9562, 5.7): 48 bits of milliseconds, then chance, so ids sort by time and none is
    guessed."""
    value = (int(time.time() * 1000) << 80) | int.from_bytes(os.urandom(10), "big")
    value = value & ~(0xF000 << 64) & ~(0xC000 << 48) | (0x7000 << 64) | (0x8000 << 48)
    text = f"{value:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def when(at: float) -> str:
    """RFC 3339, UTC, milliseconds."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def error_of(final: ExecutionFaulted | ExecutionCancelled) -> Json:
    """RFC 7807 object with what became of the undo in ``compensation``."""
    if isinstance(final, ExecutionFaulted):
        return {**final.error, "compensation": final.compensation}
    return {
        "type": "https://stagedoor.dev/errors#workflow-faulted",
        "title": "The workflow was cancelled",
        "status": 500,
        "detail": final.reason,
        "compensation": final.compensation,
    }


def status_of(row: Row, updated: float, status: str, final: Event | None) -> Json:
    """The status resource: what the caller of an execution may know."""
    shown: dict[str, Json] = {
        "id": row.id,
        "workflow": row.workflow,
        "version": row.version,
        "status": status,
        "created": when(row.created),
        "updated": when(updated),
    }
    if isinstance(final, ExecutionCompleted):
        shown["output"] = final.output
    elif isinstance(final, ExecutionFaulted | ExecutionCancelled):
        shown["error"] = error_of(final)
    return shown
