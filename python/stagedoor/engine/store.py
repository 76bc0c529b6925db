"""The SQLite file: opened, locked for one process, and of the version that this release reads."""

from __future__ import annotations

import fcntl
import os
import sqlite3
from importlib.resources import files
from pathlib import Path

from stagedoor.errors import StagedoorError

STEPS = ("schema_1.sql", "schema_2.sql", "schema_3.sql")
"""Each from the version before it; a new store goes all the way."""
VERSION = len(STEPS)
SYNCHRONOUS = "FULL"
"""A commit is on the disk before anybody hears of it."""


class StoreError(StagedoorError):
    """The store cannot be opened or written; says which file and why."""


class Lock:
    """Held for the life of the process, so that no second one runs the same executions.

    A file of its own beside the database: SQLite's locks on the database itself would be lost when any descriptor of it
    is closed.
    """

    def __init__(self, path: Path) -> None:
        self._path = path.with_name(path.name + ".lock")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StoreError(f"the store {path} cannot be opened: {error.strerror} ({error.filename})") from None
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            holder = os.read(self._descriptor, 32).decode("ascii", "replace").strip()
            os.close(self._descriptor)
            by = f"process {holder}" if holder else "another process"
            raise StoreError(f"the store {path} is in use by {by}: one gateway runs a store at a time") from None
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        # The file stays: removing it would let two processes lock two different files of that name.
        os.close(self._descriptor)


def connect(path: Path, synchronous: str = SYNCHRONOUS) -> sqlite3.Connection:
    """The writer's connection; creates the schema in a new file, and refuses one of another version."""
    try:
        connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False, cached_statements=512)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        connection.execute("PRAGMA wal_autocheckpoint = 4000")
        # A log that once grew large does not keep its size on the disk for ever.
        connection.execute("PRAGMA journal_size_limit = 67108864")
        _migrate(connection, path)
    except sqlite3.Error as error:
        raise StoreError(f"the store {path} cannot be opened: {error}") from None
    return connection


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")}
    version = 0
    if tables:
        if "schema_version" not in tables:
            raise StoreError(
                f"the store {path} is a SQLite database of something else: name another file in engine.store"
            )
        (version,) = connection.execute("SELECT version FROM schema_version").fetchone()
        if not 1 <= version <= VERSION:
            raise StoreError(
                f"the store {path} has schema version {version}, this release reads up to {VERSION}: "
                f"run the release that wrote it until its executions have ended, then begin a new file"
            )
    if version < VERSION:
        # All steps or none: whoever is interrupted finds what there was.
        steps = [files("stagedoor.engine").joinpath(step).read_text("utf-8") for step in STEPS[version:]]
        note = f"DELETE FROM schema_version; INSERT INTO schema_version VALUES ({VERSION});"
        connection.executescript("\n".join(["BEGIN IMMEDIATE;", *steps, note, "COMMIT;"]))


def reader(path: Path) -> sqlite3.Connection:
    """A connection that cannot write; sees what is committed."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA query_only = ON")
    return connection
