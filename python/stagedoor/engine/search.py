"""Finding executions: which index leads to them, and a page that is bounded in what it shows and in what it looks at.

Executions are listed in the order of one index, from a cursor on. What the index does not know is looked up row by row,
at most ``SCAN`` of them for a page: one may then hold fewer than were asked for, or none, and still have a next one.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Any

from stagedoor.engine.history import COLUMNS, Row

SCAN = 10_000
"""Executions that one page looks at."""
OPEN = ("running", "suspended")
FAILED = ("faulted", "cancelled")
LATE_S = 86_400.0
"""An id holds the time at which an execution was asked for. One that runs within another begins later where the gateway
was down in between: looked for are those asked for within a day before."""

Json = Any


@dataclass(frozen=True, slots=True)
class Search:
    """What is asked of executions; None asks nothing. Times are seconds since the epoch, ``from`` <= time < ``to``."""

    workflow: str | None = None
    version: str | None = None
    """Of the workflow, which is then named too."""
    status: str | None = None
    """Also ``open``: it has not ended."""
    consumer: str | None = None
    incident: bool | None = None
    """Whether one waits for an operator."""
    started_from: float | None = None
    started_to: float | None = None
    ended_from: float | None = None
    ended_to: float | None = None
    origin: str | None = None
    """The execution that they were restarted from."""
    attributes: tuple[tuple[str, str], ...] = ()
    """Name and text of each."""


@dataclass(frozen=True, slots=True)
class Found:
    """A page, newest first; by ``ended_…`` alone the last ended first."""

    rows: list[tuple[Row, float]]
    """Each with the time of its last event."""
    next: str | None
    """The ``before`` of the following page; None: there is none."""


class _Terms:
    """Conditions that are joined by AND, and their values."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self.values: list[Json] = []

    def add(self, text: str, *values: Json) -> None:
        self.texts.append(text)
        self.values += values

    def __str__(self) -> str:
        return " AND ".join(self.texts) if self.texts else "TRUE"


class Query:
    """The SQL of one search. ``key`` is the column in whose order executions are listed."""

    def __init__(self, search: Search, before: str | None) -> None:
        """ValueError: ``before`` is no end of a page of this search."""
        self.source, self.key = "execution", "execution.id"
        self.ends = False
        """Listed by their end: the cursor is its time and the id."""
        self.drive, self.rest = _Terms(), _Terms()
        self._drive(search)
        self._filter(search)
        self._before(search, before)

    def _index(self, name: str) -> None:
        self.source = f"execution INDEXED BY {name}"

    def _drive(self, search: Search) -> None:
        """The index that leads to the fewest."""
        drive = self.drive
        if search.attributes:
            self.source = (
                "attribute INDEXED BY attribute_value CROSS JOIN execution ON execution.id = attribute.execution"
            )
            self.key = "attribute.execution"
            drive.add("attribute.name = ? AND attribute.value = ?", *search.attributes[0])
        elif search.origin is not None:
            self._index("execution_origin")
            drive.add("origin = ?", search.origin)
        elif search.incident:
            self._index("execution_incident")
            drive.add("incidents > 0")
        elif search.status in ("open", *OPEN):
            self._index("execution_open")
            drive.add("status IN ('running', 'suspended')")
        elif search.status in FAILED:
            # Written out, so that the index of these two is known to hold it.
            drive.add(f"status = '{search.status}' AND status IN ('faulted', 'cancelled')")
            self._index("execution_failed" if search.workflow is None else "execution_failed_workflow")
            if search.workflow is not None:
                drive.add("workflow = ?", search.workflow)
        elif search.ended_from is not None or search.ended_to is not None:
            self._index("execution_ended")
            self.key, self.ends = "ended", True
            drive.add("ended IS NOT NULL")
        elif search.consumer is not None:
            self._index("execution_consumer")
            drive.add("consumer = ?", search.consumer)
        elif search.workflow is not None:
            self._index("execution_workflow" if search.version is None else "execution_version")
            drive.add("workflow = ?", search.workflow)
            if search.version is not None:
                drive.add("version = ?", search.version)

    def _filter(self, search: Search) -> None:
        rest, driven = self.rest, str(self.drive)
        for column in ("workflow", "version", "consumer", "origin"):
            value = getattr(search, column)
            if value is not None and f"{column} = ?" not in driven:
                rest.add(f"{column} = ?", value)
        if search.status is not None and f"status = '{search.status}'" not in driven:
            if search.status != "open":
                rest.add("status = ?", search.status)
            elif "status IN" not in driven:
                rest.add("status IN ('running', 'suspended')")
        if search.incident is not None and "incidents > 0" not in driven:
            rest.add("incidents > 0" if search.incident else "incidents = 0")
        for name, text in search.attributes[1:]:
            rest.add(
                "EXISTS (SELECT 1 FROM attribute AS other "
                "WHERE other.execution = execution.id AND other.name = ? AND other.value = ?)",
                name,
                text,
            )
        bounds = (("created >= ?", search.started_from), ("created < ?", search.started_to))
        for text, value in bounds:
            if value is not None:
                rest.add(text, value)
        ended = self.drive if self.ends else self.rest
        for text, value in (("ended >= ?", search.ended_from), ("ended < ?", search.ended_to)):
            if value is not None:
                ended.add(text, value)
        if not self.ends:
            if search.started_from is not None:
                self.drive.add(f"{self.key} >= ?", earliest(search.started_from - LATE_S))
            last = min((at for at in (search.started_to, search.ended_to) if at is not None), default=None)
            if last is not None:
                self.drive.add(f"{self.key} < ?", earliest(last + 1))

    def _before(self, search: Search, before: str | None) -> None:
        if before is None:
            return
        if not self.ends:
            self.drive.add(f"{self.key} < ?", before)
            return
        at, _, id = before.partition("_")
        self.drive.add("(ended, execution.id) < (?, ?)", float(at), id)

    @property
    def order(self) -> str:
        return "ended DESC, execution.id DESC" if self.ends else f"{self.key} DESC"

    @property
    def cursor(self) -> str:
        return "ended, execution.id" if self.ends else self.key

    def look(self) -> tuple[str, list[Json]]:
        """Where the last execution stands that a page looks at."""
        source = self.source.partition(" CROSS JOIN")[0]
        return (
            f"SELECT {self.cursor} FROM {source} WHERE {self.drive} ORDER BY {self.order} LIMIT 1 OFFSET {SCAN - 1}",
            self.drive.values,
        )

    def page(self, limit: int, last: tuple[Json, ...] | None) -> tuple[str, list[Json]]:
        """The executions, each with the time of its last event; none beyond ``last``."""
        bound, values = "", list(self.drive.values)
        if last is not None:
            bound = " AND (ended, execution.id) >= (?, ?)" if self.ends else f" AND {self.key} >= ?"
            values += last
        columns = ", ".join(f"execution.{name}" for name in COLUMNS.split(", "))
        return (
            f"SELECT {columns}, (SELECT at FROM event WHERE event.execution = execution.id ORDER BY seq DESC LIMIT 1) "
            f"FROM {self.source} WHERE {self.drive}{bound} AND {self.rest} ORDER BY {self.order} LIMIT ?",
            [*values, *self.rest.values, limit],
        )


def find(connection: sqlite3.Connection, search: Search, before: str | None, limit: int) -> Found:
    """ValueError: ``before`` is no end of a page of this search."""
    query = Query(search, before)
    last = connection.execute(*query.look()).fetchone() if query.rest.texts else None
    rows = [(Row(*row[:-1]), row[-1]) for row in connection.execute(*query.page(limit + 1, last))]
    if len(rows) > limit:
        row = rows[limit - 1][0]
        return Found(rows[:limit], f"{row.ended!r}_{row.id}" if query.ends else row.id)
    if last is None:
        return Found(rows, None)
    return Found(rows, f"{last[0]!r}_{last[1]}" if query.ends else last[0])


def attributes(connection: sqlite3.Connection, ids: list[str]) -> dict[str, dict[str, Json]]:
    """Of executions by their ids, in the order of their names."""
    found: dict[str, dict[str, Json]] = {}
    marks = ",".join("?" * len(ids))
    for id, name, value, kind in connection.execute(
        f"SELECT execution, name, value, type FROM attribute WHERE execution IN ({marks}) ORDER BY execution, name", ids
    ):
        found.setdefault(id, {})[name] = _typed(value, kind)
    return found


def earliest(at: float) -> str:
    """The least id of a time."""
    text = f"{max(0, int(at * 1000)):012x}"[-12:]
    return f"{text[:8]}-{text[8:]}"


def _typed(value: str, kind: str) -> Json:
    if kind == "boolean":
        return value == "true"
    if kind == "number":
        return float(value) if set(value) & set(".en") else int(value)
    return value
