"""The SQL that the writer runs. sqlite3 releases and takes the GIL once a statement, so many rows are one statement."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from stagedoor.engine import blob
from stagedoor.engine.execution import ENDED
from stagedoor.workflow.attribute import text

if TYPE_CHECKING:
    from stagedoor.engine.event_log import Append

T = TypeVar("T")

KINDS: dict[type, str] = {str: "text", int: "number", float: "number", bool: "boolean"}
"""Types of attributes."""
OVER = -2
"""In place of a number: no more is told of the execution's tasks."""
ROWS = 128
"""Rows of one INSERT at most: each count is a statement of its own in the connection's cache."""


@dataclass(frozen=True, slots=True)
class Start:
    """What is known of an execution when it begins: its row, written together with its first event."""

    workflow: str
    version: str
    definition: str
    route: str
    consumer: str | None = None
    key: str | None = None
    """The caller's idempotency key, unique for a workflow and consumer."""
    fingerprint: str | None = None
    """SHA-256 of the canonical input that came with the key."""
    ticks: tuple[tuple[str, float], ...] = ()
    """What a schedule started it for, and when that was: at most one execution of a workflow has each."""
    child: bool = False
    """Another execution runs it, and waits for it."""
    origin: str | None = None
    """The execution that it was restarted from."""
    heir: bool = False
    """What its origin did is its to undo."""
    created: float | None = None
    """In seconds since the epoch; None: at its first event."""


# Many rows OR ROLLBACK: what fails takes all of the transaction with it, so SQLite need not keep beside it, in a file
# where that is much, how to take back the one statement.
def _insert(table: str, columns: int, first: str | None = None) -> list[str]:
    row = f"({','.join('?' * columns)})"
    return [
        f"INSERT OR ROLLBACK INTO {table} VALUES {','.join([first or row, *[row] * (count - 1)][:count])}"
        for count in range(ROWS + 1)
    ]


COLUMNS = "id, workflow, version, definition, status, route, consumer, key, fingerprint, created, origin, heir, ended"

# Whoever does not own the store any more has no number for its event, and an event without one is refused with all that
# it is written with: a statement of its own would have the writer give up the interpreter once more.
_FENCE = "(?,CASE (SELECT epoch FROM owner) WHEN ? THEN ? END,?,?,?)"
_EVENTS = _insert("event", 5, _FENCE)
_TOLD = "INSERT OR REPLACE INTO told VALUES (?, CASE (SELECT epoch FROM owner) WHEN ? THEN ? END)"
_EXECUTIONS = _insert(f"execution ({COLUMNS})", 13)
_STATUS = [
    f"UPDATE OR ROLLBACK execution SET status = ?, ended = NULL WHERE id IN ({','.join('?' * count)})"
    for count in range(ROWS + 1)
]
_ENDED = [
    f"UPDATE OR ROLLBACK execution SET status = ?, incidents = 0, ended = "
    f"(SELECT at FROM event WHERE execution = execution.id ORDER BY seq DESC LIMIT 1) "
    f"WHERE id IN ({','.join('?' * count)})"
    for count in range(ROWS + 1)
]


def write(connection: sqlite3.Connection, appends: Sequence[Append], epoch: int) -> None:
    """All of it in one transaction, that of the caller if there is one, or nothing of it and sqlite3.Error:
    IntegrityError if the store is owned with another epoch."""
    events = [append for append in appends if append.type]
    more = [append for append in appends if append.accompanied]
    if not more and 0 < len(events) <= ROWS:
        _put(connection, events, epoch)
        return
    starts = [append for append in more if append.start is not None]
    latest = {append.execution: append for append in more if append.status is not None}
    # An execution that ends as it begins has its status from the first.
    rows = [_row(append, latest.pop(append.execution, None)) for append in starts]
    status: dict[str, list[str]] = {}
    for execution, append in latest.items():
        status.setdefault(append.status or "", []).append(execution)
    owed = [(append.execution, event) for append in more for event in append.outbox]
    told = [(append.execution, append.told) for append in more if append.told is not None]
    taken = [(append.taken,) for append in more if append.taken is not None]
    incidents = [(append.incidents, append.execution) for append in more if append.incidents is not None]
    attributes = [append for append in more if append.attributes]
    migrates = [(*append.migrates, append.execution) for append in more if append.migrates is not None]
    blobs = [(append.execution, append.seq, append.blobs) for append in more if append.blobs]
    within = connection.in_transaction
    try:
        if not within:
            connection.execute("BEGIN IMMEDIATE")
        for chunk in _chunks(events):
            _put(connection, chunk, epoch)
        for some_rows in _chunks(rows):
            connection.execute(_EXECUTIONS[len(some_rows)], [value for row in some_rows for value in row])
        ticks = [
            (each.start.workflow, tick, each.execution, at)
            for each in starts
            if each.start is not None
            for tick, at in each.start.ticks
        ]
        if ticks:
            connection.executemany("INSERT INTO tick VALUES (?, ?, ?, ?)", ticks)
        if owed:
            connection.executemany("INSERT INTO outbox VALUES (NULL, ?, ?)", owed)
        if told:
            connection.executemany(_TOLD, [(id, epoch, seq) for id, seq in told])
            connection.executemany("DELETE FROM told WHERE execution = ?", [(id,) for id, seq in told if seq == OVER])
        if taken:
            connection.executemany("UPDATE inbox SET taken = 1 WHERE n = ?", taken)
        if incidents:
            connection.executemany("UPDATE execution SET incidents = ? WHERE id = ?", incidents)
        if migrates:
            connection.executemany("UPDATE execution SET version = ?, definition = ? WHERE id = ?", migrates)
        if blobs:
            blob.keep(connection, blobs)
        for append in attributes:
            _attributes(connection, append)
        for name, ids in status.items():
            statement = _ENDED if name in ENDED else _STATUS
            for some in _chunks(ids):
                connection.execute(statement[len(some)], [name, *some])
        if not within:
            connection.execute("COMMIT")
    except sqlite3.Error:
        if connection.in_transaction and not within:
            connection.execute("ROLLBACK")
        raise


def _put(connection: sqlite3.Connection, events: Sequence[Append], epoch: int) -> None:
    values: list[Any] = []
    for each in events:
        values += (each.execution, each.seq, each.type, each.at, each.data)
    values.insert(1, epoch)
    connection.execute(_EVENTS[len(events)], values)


def _row(append: Append, latest: Append | None) -> tuple[Any, ...]:
    start = append.start
    assert start is not None
    return (
        append.execution,
        start.workflow,
        start.version,
        start.definition,
        "running" if latest is None else latest.status,
        start.route,
        start.consumer,
        start.key,
        start.fingerprint,
        append.at if start.created is None else start.created,
        start.origin,
        int(start.heir),
        None if latest is None or latest.status not in ENDED else latest.at,
    )


def _attributes(connection: sqlite3.Connection, append: Append) -> None:
    set_ = [
        (append.execution, name, text(value), KINDS[type(value)])
        for name, value in (append.attributes or {}).items()
        if value is not None
    ]
    gone = [(append.execution, name) for name, value in (append.attributes or {}).items() if value is None]
    if set_:
        connection.executemany("INSERT OR REPLACE INTO attribute VALUES (?, ?, ?, ?)", set_)
    if gone:
        connection.executemany("DELETE FROM attribute WHERE execution = ? AND name = ?", gone)


def _chunks(items: Sequence[T]) -> list[Sequence[T]]:
    return [items[first : first + ROWS] for first in range(0, len(items), ROWS)]
