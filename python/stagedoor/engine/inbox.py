"""Events that came in: stored before they are acknowledged, each once by its source and id, and kept for a while so
that listeners which begin later find them."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from stagedoor.engine.event_log import EventLog
from stagedoor.engine.record import encode_json

MAX_EVENTS = 10_000
"""Kept; the oldest go first."""
MAX_BYTES = 64 * 1024 * 1024
"""Of all that are kept, as JSON."""
KEEP_S = 24 * 3600.0

Json = Any


@dataclass(slots=True, eq=False)
class Stored:
    n: int
    """In order of arrival."""
    at: float
    event: Json
    size: int
    taken: bool
    """An execution has it."""
    until: float
    """When it is too old, by the loop's clock, which nobody sets."""


class Inbox:
    """``arrived`` is called in the loop with each new event, after it is on the disk."""

    def __init__(self, log: EventLog, clock: Callable[[], float], arrived: Callable[[Stored], None]) -> None:
        self._log, self._clock, self._arrived = log, clock, arrived
        self._loop = asyncio.get_running_loop()
        self.events: list[Stored] = []
        """In order of arrival."""
        self.last = 0
        """The number of the latest."""
        self._bytes = 0
        self.received = 0
        self.duplicates = 0

    def load(self) -> None:
        """At the start, before anything listens."""
        now, wall = self._loop.time(), self._clock()
        for n, at, text, taken in self._log.history.inbox():
            self._keep(Stored(n, at, json.loads(text), len(text), bool(taken), now + KEEP_S - max(wall - at, 0.0)))
        # Schedules do not remember for longer what they were started by.
        self._prune()

    def first(self, n: int) -> int:
        """The index of the first event that came as the n-th or later."""
        return bisect_left(self.events, n, key=lambda stored: stored.n)

    async def receive(self, events: Sequence[Json]) -> int:
        """How many of them are new. StoreError if they cannot be kept; none of them is then."""
        now = self._clock()
        rows = [(event["source"], event["id"], now, encode_json(event)) for event in events]
        new: list[tuple[int, int]] = []
        gone = self._prune()

        def store(connection: sqlite3.Connection) -> None:
            for index, row in enumerate(rows):
                cursor = connection.execute("INSERT OR IGNORE INTO inbox VALUES (NULL, ?, ?, ?, ?, 0)", row)
                if cursor.rowcount and cursor.lastrowid is not None:
                    new.append((cursor.lastrowid, index))
            if gone:
                connection.execute("DELETE FROM inbox WHERE n <= ?", (gone,))

        await self._log.run(store)
        self.received += len(new)
        self.duplicates += len(rows) - len(new)
        for n, index in new:
            stored = Stored(n, now, events[index], len(rows[index][3]), False, self._loop.time() + KEEP_S)
            self._keep(stored)
            self._arrived(stored)
        return len(new)

    def _keep(self, stored: Stored) -> None:
        self.events.append(stored)
        self.last = stored.n
        self._bytes += stored.size

    def _prune(self) -> int:
        """Let go of what is too old or too much; the number of the last of them, or 0."""
        count, now = 0, self._loop.time()
        for stored in self.events:
            left = len(self.events) - count
            if left < MAX_EVENTS and self._bytes < MAX_BYTES and stored.until >= now:
                break
            self._bytes -= stored.size
            count += 1
        last = self.events[count - 1].n if count else 0
        del self.events[:count]
        return last
