"""Executions that leave the store, in steps that are small enough for everybody else: the SQL of it.

First they are no more: gone from ``execution``, with their key, and noted in ``purged``. Then their events go, some at
a time. Whoever is interrupted in between finds in ``purged`` what is left to do.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from stagedoor.engine.store import owner

ROWS = 500
"""Events that one step removes, and executions that one look finds."""
EXECUTIONS = 40
"""That one step removes."""
PAGES = 128
"""Free pages of the file that one step gives back."""
LEAST_FREE = 4096
"""Pages that stay free in the file for what comes: so many, or a tenth of the file if that is more."""


@dataclass(frozen=True, slots=True)
class Ended:
    """An execution as far as it matters here."""

    id: str
    workflow: str
    status: str
    ended: float
    """In seconds since the epoch."""


_NEEDED = """
WITH RECURSIVE above(id) AS (
    SELECT json_extract(data, '$.parent.execution') FROM event WHERE event.execution = execution.id AND seq = 0
    UNION
    SELECT json_extract(data, '$.parent.execution') FROM above JOIN event ON event.execution = above.id AND seq = 0
)
SELECT 1 FROM above JOIN execution AS other ON other.id = above.id WHERE other.ended IS NULL
"""
"""One that another one ran, and may yet undo: that has not ended itself, or what ran that has not."""

Position = tuple[float, str]
BEGIN: Position = (-1.0, "")


# Looking.


def ended(connection: sqlite3.Connection, before: float, after: Position) -> list[Ended]:
    """The next of those that ended before that, in the order of their ends."""
    found = connection.execute(
        "SELECT id, workflow, status, ended FROM execution INDEXED BY execution_ended "
        "WHERE ended IS NOT NULL AND ended < ? AND (ended, id) > (?, ?) ORDER BY ended, id LIMIT ?",
        (before, *after, ROWS),
    )
    return [Ended(*row) for row in found]


def count(connection: sqlite3.Connection, before: float, workflow: str | None, status: str | None) -> int:
    """Of those that ended before that; None asks nothing."""
    chosen = [("workflow = ?", workflow), ("status = ?", status)]
    more = [(text, value) for text, value in chosen if value is not None]
    found = connection.execute(
        "SELECT count(*) FROM execution INDEXED BY execution_ended WHERE ended IS NOT NULL AND ended < ?"
        + "".join(f" AND {text}" for text, _ in more),
        (before, *(value for _, value in more)),
    ).fetchone()
    return int(found[0])


def unreferenced(connection: sqlite3.Connection) -> list[tuple[str, str, str, str]]:
    """Hash, workflow, version and JSON of documents that no execution runs by."""
    return connection.execute(
        "SELECT hash, workflow, version, document FROM definition WHERE NOT EXISTS (SELECT 1 FROM execution "
        "WHERE execution.workflow = definition.workflow AND execution.version = definition.version "
        "AND execution.definition = definition.hash)"
    ).fetchall()


def documents(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    """Hash and JSON of all."""
    return connection.execute("SELECT hash, document FROM definition").fetchall()


def room(connection: sqlite3.Connection) -> tuple[int, int, int]:
    """Pages of the file, those of them that are free, and the bytes of a page."""
    [(pages,)] = connection.execute("PRAGMA page_count")
    [(free,)] = connection.execute("PRAGMA freelist_count")
    [(size,)] = connection.execute("PRAGMA page_size")
    return pages, free, size


def old_ticks(connection: sqlite3.Connection, but: str, before: float) -> list[tuple[str, str]]:
    """Ticks of schedules that are of no use: from before that time, and not the last one of their workflow."""
    return connection.execute(
        "WITH last AS (SELECT workflow, max(at) AS at FROM tick WHERE tick != ? GROUP BY workflow) "
        "SELECT tick.workflow, tick.tick FROM tick JOIN last USING (workflow) "
        "WHERE tick.tick != ? AND tick.at < ? AND tick.at < last.at LIMIT ?",
        (but, but, before, ROWS),
    ).fetchall()


# Removing. Each is one step.


def remove(connection: sqlite3.Connection, ids: Sequence[str]) -> int:
    """These are no more, but for what may yet be undone; how many of them there were."""
    marks = ",".join("?" * len(ids))
    connection.execute(
        f"INSERT INTO purged SELECT id FROM execution WHERE id IN ({marks}) AND ended IS NOT NULL "
        f"AND NOT EXISTS ({_NEEDED})",
        ids,
    )
    connection.execute(f"DELETE FROM attribute WHERE execution IN ({marks}) AND execution IN purged", ids)
    return connection.execute(f"DELETE FROM execution WHERE id IN ({marks}) AND id IN purged", ids).rowcount


def sweep(connection: sqlite3.Connection) -> bool:
    """Some events of those that are no more; whether there may be others."""
    gone = connection.execute(
        "DELETE FROM event WHERE (execution, seq) IN (SELECT execution, seq FROM event WHERE execution IN "
        "(SELECT execution FROM purged ORDER BY execution LIMIT ?) LIMIT ?)",
        (EXECUTIONS, ROWS),
    ).rowcount
    connection.execute(
        "DELETE FROM purged WHERE NOT EXISTS (SELECT 1 FROM event WHERE event.execution = purged.execution)"
    )
    return gone > 0 or connection.execute("SELECT 1 FROM purged").fetchone() is not None


def remove_definitions(connection: sqlite3.Connection, hashes: Sequence[str]) -> None:
    connection.executemany("DELETE FROM definition WHERE hash = ?", [(each,) for each in hashes])


def remove_ticks(connection: sqlite3.Connection, ticks: Sequence[tuple[str, str]]) -> None:
    connection.executemany("DELETE FROM tick WHERE workflow = ? AND tick = ?", ticks)


def give_back(connection: sqlite3.Connection) -> bool:
    """Some free pages of the file; whether there are more than it should keep. Nothing of a file that was not made for
    it."""
    [(kind,)] = connection.execute("PRAGMA auto_vacuum")
    pages, free, _ = room(connection)
    if kind != 2 or free <= max(LEAST_FREE, pages // 10):
        return False
    # A row for each page, of no columns: that is no row to ``execute``, which stops at the first. A script is run to
    # its end, but in a transaction of its own; so it has its own look at the owner.
    connection.executescript(
        f"BEGIN IMMEDIATE; UPDATE owner SET epoch = CASE epoch WHEN {owner(connection)} THEN epoch END;"
        f"PRAGMA incremental_vacuum({PAGES}); COMMIT;"
    )
    return True
