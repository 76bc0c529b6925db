"""Snapshots of long executions, so that reading one back, or showing it, takes no longer than its last events.

One is taken once enough events have come since the last one, and as much JSON as the last one had: so all the snapshots
of an execution together are about as large as its events, however large its state is.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3

from stagedoor.engine import blob
from stagedoor.engine.event_log import EventLog
from stagedoor.engine.execution import Execution
from stagedoor.engine.store import StoreError

EVERY = 1000
"""Events of an execution between two snapshots, at least."""
DISCARDED = (
    "CallCompleted",
    "CallFailed",
    "CallUnknown",
    "TimerFired",
    "AttributesSet",
    "EventEmitted",
    "EventReceived",
    "ChildStarted",
    "ChildEnded",
    "ProcessEnded",
    "ProcessFailed",
)
"""Events of which a snapshot holds all that matters. How an execution began, what its undos are given, its incidents
and what operators said are never discarded, nor is any kind of event that is not named here."""
STEP = 500
"""Events that one transaction deletes: others have the writer in between."""
_DISCARD = (
    "DELETE FROM event WHERE execution = ? AND seq IN (SELECT seq FROM event WHERE execution = ? AND seq > ? "
    f"AND seq < ? AND type IN ({','.join('?' * len(DISCARDED))}) ORDER BY seq LIMIT {STEP}) RETURNING seq"
)

Row = tuple[str, int, float, int, str]
"""Of the table: the execution, the number and the time of its last event, whether it takes the place of events, and the
state."""
log = logging.getLogger("stagedoor.engine")


class Snapshots:
    """``compact``: events whose effect is in a snapshot are deleted once that is written."""

    def __init__(self, event_log: EventLog, *, every: int = EVERY, compact: bool = False) -> None:
        self.every, self.compact = every, compact
        self.taken = 0
        self.bytes = 0
        """JSON of all that were taken, without their blobs."""
        self._log = event_log
        self._writing: set[asyncio.Task[None]] = set()

    def fed(self, execution: Execution, seq: int, size: int) -> None:
        """An event of that number, of so many characters, is committed and fed."""
        if seq != execution.fed + 1:
            return
        execution.fed = seq
        execution.since += 1
        execution.since_bytes += size
        if execution.since >= self.every and execution.since_bytes >= execution.snapshot_bytes:
            self._take(execution, seq)

    def exchanged(self, execution: Execution) -> None:
        """Its machine was fed with all of its events, by another definition, which the last snapshot is none of."""
        execution.fed = execution.seq - 1
        if execution.snapshot_bytes:
            self._take(execution, execution.fed)

    def _take(self, execution: Execution, seq: int) -> None:
        machine = execution.machine
        if machine is None:
            return
        execution.since = execution.since_bytes = 0
        try:
            data, blobs = blob.pack_state(machine.snapshot())
        except (TypeError, ValueError) as failure:
            # Its log is whole, and is read from the beginning.
            log.error("no snapshot of the execution: %s", failure, extra={"execution": execution.id})
            return
        execution.snapshot_bytes = len(data)
        self.taken += 1
        self.bytes += len(data)
        row = (execution.id, seq, machine.now, int(self.compact), data)
        task = asyncio.get_running_loop().create_task(self._written(row, blobs, execution.told))
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)

    async def _written(self, row: Row, blobs: tuple[blob.Blob, ...], told: int | None) -> None:
        after: int | None = None

        def write(connection: sqlite3.Connection) -> None:
            nonlocal after
            after = 0 if _write(row, blobs, told, connection) and self.compact else None

        def discard(connection: sqlite3.Connection) -> None:
            nonlocal after
            after = _discard(row, after or 0, connection)

        try:
            await self._log.run(write)
            while after is not None:
                await self._log.run(discard)
        except StoreError as error:
            log.warning("no snapshot of the execution: %s", error, extra={"execution": row[0]})


def _write(row: Row, blobs: tuple[blob.Blob, ...], told: int | None, connection: sqlite3.Connection) -> bool:
    """Instead of the one before it, within a transaction; whether it is written. ``told``: the last event of which the
    sink is told what became of tasks."""
    execution, seq, at, compact, data = row
    if told is not None:
        mark = connection.execute("SELECT seq FROM told WHERE execution = ?", (execution,)).fetchone()
        if mark is None or mark[0] < told:
            # That is still on its way, and is found by its events alone: the next snapshot will do.
            return False
    # What the last one refers to as well is not deleted in between.
    blob.keep(connection, [(execution, -1 - seq, blobs)])
    found = connection.execute("SELECT compacted FROM snapshot WHERE execution = ?", (execution,)).fetchone()
    connection.execute("DELETE FROM snapshot WHERE execution = ?", (execution,))
    compacted = compact or (found is not None and found[0])
    connection.execute("INSERT INTO snapshot VALUES (?, ?, ?, ?, ?)", (execution, seq, at, compacted, data))
    return True


def _discard(row: Row, after: int, connection: sqlite3.Connection) -> int | None:
    """Some of what is behind the event of that number and before the snapshot; the number of the last one, or None if
    that was all. What a crash leaves is found by the next snapshot."""
    execution, seq, *_ = row
    gone = connection.execute(_DISCARD, (execution, execution, after, seq, *DISCARDED)).fetchall()
    return max(number for (number,) in gone) if len(gone) == STEP else None
