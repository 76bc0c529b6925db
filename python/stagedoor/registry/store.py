"""The registry's SQLite file, beside the engine's, so that neither waits for the other's commits."""

from __future__ import annotations

import json
import sqlite3
from importlib.resources import files
from pathlib import Path
from typing import Any

from stagedoor.errors import StagedoorError

STEPS = ("schema_1.sql", "schema_2.sql", "schema_3.sql")
"""Each from the version before it; a new store goes all the way."""
VERSION = len(STEPS)
AUDIT_ROWS = 100_000
"""The oldest go first."""
Json = Any
Row = dict[str, Any]
_JSON = ("groups", "scopes", "routes", "networks", "rate_limit", "settings", "versions")


class StoreError(StagedoorError):
    """The registry cannot be opened or written; says which file and why."""


class Store:
    """Rows in and out; what may be written is not its business. Used by one thread at a time."""

    def __init__(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=5)
            self._connection.row_factory = sqlite3.Row
            self._connection.execute("PRAGMA journal_mode = WAL")
            self._connection.execute("PRAGMA synchronous = FULL")
            self._connection.execute("PRAGMA foreign_keys = ON")
            path.chmod(0o600)
            self._migrate(path)
        except (sqlite3.Error, OSError) as error:
            raise StoreError(f"the registry {path} cannot be opened: {error}") from None

    def _migrate(self, path: Path) -> None:
        tables = {name for (name,) in self._connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
        version = 0
        if tables:
            if "registry_version" not in tables:
                raise StoreError(f"the registry {path} is a SQLite database of something else")
            (version,) = self._connection.execute("SELECT version FROM registry_version").fetchone()
            if not 1 <= version <= VERSION:
                raise StoreError(f"the registry {path} has schema version {version}, this release reads {VERSION}")
        if version < VERSION:
            # All steps or none: whoever is interrupted finds what there was.
            steps = [files("stagedoor.registry").joinpath(step).read_text("utf-8") for step in STEPS[version:]]
            note = f"DELETE FROM registry_version; INSERT INTO registry_version VALUES ({VERSION});"
            self._connection.executescript("\n".join(["BEGIN IMMEDIATE;", *steps, note, "COMMIT;"]))

    def close(self) -> None:
        self._connection.close()

    def begin(self) -> None:
        self._connection.execute("BEGIN IMMEDIATE")

    def commit(self) -> None:
        self._connection.execute("COMMIT")

    def rollback(self) -> None:
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")

    def rows(self, table: str, **where: Any) -> list[Row]:
        """Those with these values, ordered by the table's key."""
        condition = " AND ".join(f"{column} = ?" for column in where) or "true"
        order = "name" if table in ("consumer", "plan") else "id"
        text = f"SELECT * FROM {table} WHERE {condition} ORDER BY {order}"
        return [_read(row) for row in self._connection.execute(text, tuple(where.values()))]

    def page(self, after: str, limit: int) -> list[Row]:
        """Consumers whose names come after that."""
        text = "SELECT * FROM consumer WHERE name > ? ORDER BY name LIMIT ?"
        return [_read(row) for row in self._connection.execute(text, (after, limit))]

    def row(self, table: str, **where: Any) -> Row | None:
        return next(iter(self.rows(table, **where)), None)

    def put(self, table: str, row: Row) -> None:
        """Insert, or replace the columns of the row with that key."""
        key = "name" if table in ("consumer", "plan") else "id"
        columns = ", ".join(row)
        values = ", ".join("?" * len(row))
        changes = ", ".join(f"{column} = excluded.{column}" for column in row if column != key)
        text = f"INSERT INTO {table} ({columns}) VALUES ({values}) ON CONFLICT ({key}) DO UPDATE SET {changes}"
        self._connection.execute(text, [_written(value) for value in row.values()])

    def remove(self, table: str, **where: Any) -> int:
        """How many there were."""
        condition = " AND ".join(f"{column} = ?" for column in where)
        return self._connection.execute(f"DELETE FROM {table} WHERE {condition}", tuple(where.values())).rowcount

    def used(self, times: dict[str, int]) -> None:
        """When credentials were last used."""
        for table in ("api_key", "credential"):
            self._connection.executemany(
                f"UPDATE {table} SET last_used = ? WHERE id = ?", [(at, id) for id, at in times.items()]
            )

    def note(self, at: int, who: str, action: str, subject: str, before: Json, after: Json) -> None:
        """A line of the audit log, which is bounded."""
        words = (at, who, action, subject, *(None if part is None else json.dumps(part) for part in (before, after)))
        insert = "INSERT INTO audit (at, who, action, subject, before, after) VALUES (?, ?, ?, ?, ?, ?)"
        last = self._connection.execute(insert, words).lastrowid or 0
        self._connection.execute("DELETE FROM audit WHERE id <= ?", (last - AUDIT_ROWS,))

    def audit(self, before: int | None, limit: int) -> list[Row]:
        """The newest, or those older than one of them."""
        text = "SELECT * FROM audit WHERE ? IS NULL OR id < ? ORDER BY id DESC LIMIT ?"
        rows = [dict(row) for row in self._connection.execute(text, (before, before, limit))]
        for row in rows:
            for part in ("before", "after"):
                row[part] = None if row[part] is None else json.loads(row[part])
        return rows


def _read(row: sqlite3.Row) -> Row:
    read = dict(row)
    for name in _JSON:
        if read.get(name) is not None:
            read[name] = json.loads(read[name])
    if "disabled" in read:
        read["disabled"] = bool(read["disabled"])
    return read


def _written(value: Any) -> Any:
    return json.dumps(value) if isinstance(value, list | dict) else value
