"""Reading the store: executions, their events, and the documents they run by. One connection, one thread of its own."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from stagedoor.engine import blob
from stagedoor.engine.record import decode
from stagedoor.engine.store import StoreError, explained, forget
from stagedoor.workflow.events import Event

T = TypeVar("T")
Json = Any

COLUMNS = (
    "id, workflow, version, definition, status, route, consumer, key, fingerprint, created, ended, incidents, origin"
)


@dataclass(frozen=True, slots=True)
class Row:
    """An execution as the store knows it. Times are seconds since the epoch."""

    id: str
    workflow: str
    version: str
    definition: str
    status: str
    route: str
    consumer: str | None
    key: str | None
    fingerprint: str | None
    created: float
    ended: float | None = None
    incidents: int = 0
    """Those that wait for an operator."""
    origin: str | None = None
    """The execution that it was restarted from."""


LAST = 1 << 62
"""Beyond the number of every event."""
FACTS = ("ExecutionStarted", "IncidentOpened", "IncidentResolved", "ExecutionMigrated")
"""What is told of an execution beside its state."""
_MARKS = ",".join("?" * len(FACTS))


@dataclass(frozen=True, slots=True)
class Stored:
    """A snapshot in the store."""

    seq: int
    """The last event that is in it."""
    at: float
    compacted: bool
    """Some of the events before it are gone."""
    size: int
    """Characters of its JSON, without its blobs."""
    state: Json


@dataclass(frozen=True, slots=True)
class Past:
    """What is known of an execution: a snapshot and the events behind it, or all events."""

    snapshot: Stored | None
    facts: list[Event]
    """Of the events before it those that are told beside."""
    tail: list[Event]
    size: int
    """Characters of the JSON of the tail."""

    @property
    def told(self) -> list[Event]:
        """The start, incidents and migrations, and all that is behind the snapshot."""
        return self.facts + self.tail

    @property
    def seq(self) -> int:
        """Of the next event."""
        return len(self.tail) + (0 if self.snapshot is None else self.snapshot.seq + 1)

    @property
    def at(self) -> float:
        """The time of the last event."""
        if self.tail:
            return self.tail[-1].at
        return 0.0 if self.snapshot is None else self.snapshot.at


class History:
    """The plain methods read at once and are for the time before serving; ``ask`` runs one in the reader's thread, and
    then what SQLite says is a StoreError."""

    def __init__(self, connection: sqlite3.Connection, loop: asyncio.AbstractEventLoop) -> None:
        self._connection = connection
        self._loop = loop
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="history")

    def ask(self, read: Callable[[], T]) -> asyncio.Future[T]:
        return self._loop.run_in_executor(self._thread, self._attempt, read)

    def _attempt(self, read: Callable[[], T]) -> T:
        try:
            return read()
        except sqlite3.Error as error:
            forget(self._connection)
            raise StoreError(f"the store cannot be read: {explained(error)}") from None

    def query(self, read: Callable[[sqlite3.Connection], T]) -> asyncio.Future[T]:
        return self.ask(lambda: read(self._connection))

    def close(self) -> None:
        self._thread.shutdown()
        self._connection.close()

    def open(self) -> list[Row]:
        """Every execution that has not ended, oldest first."""
        found = self._connection.execute(
            f"SELECT {COLUMNS} FROM execution WHERE status IN ('running', 'suspended') ORDER BY id"
        )
        # Many of one workflow say the same: once in memory is enough.
        same: dict[Json, Json] = {}
        return [Row(row[0], *(same.setdefault(each, each) for each in row[1:7]), *row[7:]) for row in found]

    def timers(self) -> Iterator[tuple[str, str, float, int, float | None]]:
        """What parked executions wait for: execution, timer, time; the number of the execution's next event, and the
        time of the last one, None where the entry no longer counts."""
        found = self._connection.execute(
            "SELECT timer.execution, timer, timer.at, timer.seq, event.at FROM timer "
            "LEFT JOIN event ON event.execution = timer.execution AND event.seq = timer.seq - 1 AND NOT EXISTS "
            "(SELECT 1 FROM event AS next WHERE next.execution = timer.execution AND next.seq = timer.seq) "
            "ORDER BY timer.execution"
        )
        return iter(found)

    def row(self, execution: str) -> Row | None:
        found = self._connection.execute(f"SELECT {COLUMNS} FROM execution WHERE id = ?", (execution,)).fetchone()
        return None if found is None else Row(*found)

    def with_key(self, workflow: str, consumer: str | None, key: str) -> Row | None:
        found = self._connection.execute(
            f"SELECT {COLUMNS} FROM execution WHERE workflow = ? AND ifnull(consumer, '') = ? AND key = ?",
            (workflow, consumer or "", key),
        ).fetchone()
        return None if found is None else Row(*found)

    def ended(self, workflow: str, consumer: str | None, key: str) -> tuple[Row, Event] | None:
        """The execution with this key, and its last event."""
        row = self.with_key(workflow, consumer, key)
        return None if row is None else self._with_last(row)

    def shown(self, execution: str) -> tuple[Row, Event] | None:
        """The execution with this id, and its last event."""
        row = self.row(execution)
        return None if row is None else self._with_last(row)

    def _with_last(self, row: Row) -> tuple[Row, Event] | None:
        """None if it was purged meanwhile."""
        try:
            return row, self.last(row.id)
        except KeyError:
            return None

    def events(self, execution: str) -> list[Event]:
        """Of an execution that was compacted not all of them are there."""
        with self._at_once():
            return self._read("", execution)[0]

    def facts(self, execution: str, until: int = LAST) -> list[Event]:
        """The start, the incidents and the migrations, up to a number."""
        with self._at_once():
            return self._read(f"AND seq <= ? AND type IN ({_MARKS})", execution, until, *FACTS)[0]

    def past(self, execution: str, *, whole: bool = False) -> Past:
        """``whole``: with every event that there is; with a snapshot then only if they are not all."""
        with self._at_once():
            found = self._connection.execute(
                "SELECT seq, at, compacted, data FROM snapshot WHERE execution = ?", (execution,)
            ).fetchone()
            if found is None or (whole and not found[2]):
                return Past(None, [], *self._read("", execution))
            seq, at, compacted, data = found
            stored = Stored(seq, at, bool(compacted), len(data), blob.unpack_state(data, self._blob))
            facts = self._read("AND seq <= ?", execution, seq)[0] if whole else self.facts(execution, seq)
            return Past(stored, facts, *self._read("AND seq > ?", execution, seq))

    def _read(self, condition: str, execution: str, *values: Json) -> tuple[list[Event], int]:
        """Events, and the characters of their JSON."""
        found = self._connection.execute(
            f"SELECT type, at, data FROM event WHERE execution = ? {condition} ORDER BY seq", (execution, *values)
        ).fetchall()
        return [self._event(*row) for row in found], sum(len(data) for _, _, data in found)

    @contextmanager
    def _at_once(self) -> Iterator[None]:
        """What is read within is of one moment, though the writer goes on."""
        if self._connection.in_transaction:
            yield
            return
        self._connection.execute("BEGIN")
        try:
            yield
        finally:
            self._connection.execute("COMMIT")

    def _event(self, type: str, at: float, data: str) -> Event:
        return decode(type, at, data, self._blob)

    def _blob(self, hash: str) -> str:
        return blob.read(self._connection, hash)

    def size(self, execution: str) -> int:
        """Bytes of its events as JSON, as far as they are there, and of the payloads that are beside them."""
        (events,) = self._connection.execute(
            "SELECT sum(length(data)) FROM event WHERE execution = ?", (execution,)
        ).fetchone()
        (payloads,) = self._connection.execute(
            "SELECT sum(length(data)) FROM blob_use JOIN blob USING (hash) WHERE execution = ? AND seq >= 0",
            (execution,),
        ).fetchone()
        return int(events or 0) + int(payloads or 0)

    def last(self, execution: str) -> Event:
        """The latest event. An execution always has one; KeyError if there is no such execution."""
        with self._at_once():
            found = self._connection.execute(
                "SELECT type, at, data FROM event WHERE execution = ? ORDER BY seq DESC LIMIT 1", (execution,)
            ).fetchone()
            if found is None:
                raise KeyError(execution)
            return self._event(*found)

    def document(self, definition: str) -> Json:
        """The document with this hash; KeyError if the store never had it."""
        found = self._connection.execute("SELECT document FROM definition WHERE hash = ?", (definition,)).fetchone()
        if found is None:
            raise KeyError(definition)
        return json.loads(found[0])

    def definition(self, workflow: str, version: str) -> str | None:
        """The hash of a document of that version."""
        found = self._connection.execute(
            "SELECT hash FROM definition WHERE workflow = ? AND version = ? ORDER BY hash LIMIT 1", (workflow, version)
        ).fetchone()
        return None if found is None else str(found[0])

    def ticks_since(self, since: str) -> dict[str, float]:
        """Workflow → the time of the tick of this name."""
        return dict(self._connection.execute("SELECT workflow, at FROM tick WHERE tick = ?", (since,)).fetchall())

    def ticks(self, workflow: str) -> set[str]:
        found = self._connection.execute("SELECT tick FROM tick WHERE workflow = ?", (workflow,))
        return {str(tick) for (tick,) in found}

    def ticked(self, workflow: str, tick: str) -> bool:
        return bool(
            self._connection.execute("SELECT 1 FROM tick WHERE workflow = ? AND tick = ?", (workflow, tick)).fetchone()
        )

    def last_tick(self, workflow: str, but: str, until: float) -> tuple[str, float] | None:
        """The execution and the time of the latest tick up to that time."""
        found = self._connection.execute(
            "SELECT execution, at FROM tick WHERE workflow = ? AND tick != ? AND at <= ? ORDER BY at DESC LIMIT 1",
            (workflow, but, until),
        ).fetchone()
        return None if found is None else (str(found[0]), float(found[1]))

    def inbox(self) -> list[tuple[int, float, str, int]]:
        """Number, time, JSON and whether it was taken, of every event that is kept."""
        return self._connection.execute("SELECT n, at, event, taken FROM inbox ORDER BY n").fetchall()

    def told(self) -> dict[str, int]:
        """Executions of whose tasks the sink is told, each with the number of the last event of which it was."""
        return dict(self._connection.execute("SELECT execution, seq FROM told"))

    def outbox(self, after: int, count: int) -> list[tuple[int, str]]:
        """The next events that are owed: number and JSON."""
        found = self._connection.execute("SELECT n, event FROM outbox WHERE n > ? ORDER BY n LIMIT ?", (after, count))
        return found.fetchall()
