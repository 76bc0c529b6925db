"""The SQLite file: opened for one owner, and of the version that this release reads."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.resources import files
from pathlib import Path

from stagedoor.errors import Unavailable

STEPS = tuple(f"schema_{version}.sql" for version in range(1, 8))
"""Each from the version before it; a new store goes all the way."""
VERSION = len(STEPS)
SYNCHRONOUS = "FULL"
"""A commit is on the disk before anybody hears of it."""
BUSY_S = 1.0
"""How long a statement waits for another process that writes the file."""
PIECE_BYTES = 1024 * 1024


class StoreError(Unavailable):
    """The store cannot be opened, read or written; says which file and why."""


class StoreInUse(StoreError):
    """Another process has the store; says which."""


def connect(path: Path, synchronous: str = SYNCHRONOUS) -> sqlite3.Connection:
    """The writer's connection; creates the schema in a new file, and refuses one of another version. StoreInUse if
    another process is writing it."""
    connection = None
    try:
        new = not path.exists() or path.stat().st_size == 0
        connection = sqlite3.connect(
            path, timeout=BUSY_S, isolation_level=None, check_same_thread=False, cached_statements=512
        )
        if new:
            # Before anything is in it: pages that become free can be given back while the file is used.
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
        [(mode,)] = connection.execute("PRAGMA journal_mode = WAL")
        if mode != "wal":
            raise StoreError(f"the store {path} cannot be opened: it must be on a local disk, for a write-ahead log")
        connection.execute(f"PRAGMA synchronous = {synchronous}")
        connection.execute("PRAGMA wal_autocheckpoint = 4000")
        # A log that once grew large does not keep its size on the disk for ever.
        connection.execute("PRAGMA journal_size_limit = 67108864")
        # A damaged page is noticed where it is read, rather than followed.
        connection.execute("PRAGMA cell_size_check = ON")
        _settle(connection, path)
        _migrate(connection, path)
    except (sqlite3.Error, OSError, StoreError) as error:
        if connection is not None:
            connection.close()
        if isinstance(error, StoreError):
            raise
        busy = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_BUSY
        kind = StoreInUse if busy else StoreError
        raise kind(f"the store {path} cannot be opened: {explained(error)}") from None
    return connection


def _settle(connection: sqlite3.Connection, path: Path) -> None:
    """Make sure that the disk has what is read here, before anything is built on it.

    Linux keeps what it could not write as if it had: after an ``fsync`` that failed, a file reads as it should be and
    lies on the disk as it was. The write-ahead log that a process has left behind is therefore written once more, as it
    reads. sqlite3.Error or OSError if it cannot be.
    """
    # Nobody else writes it meanwhile.
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Closing it costs no lock: those of SQLite are on other files.
        descriptor = os.open(write_ahead(path), os.O_RDWR | os.O_CLOEXEC)
        try:
            offset = 0
            while piece := os.pread(descriptor, PIECE_BYTES, offset):
                # A disk that is full takes a part.
                offset += os.pwrite(descriptor, piece, offset)
            if offset:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)
    finally:
        connection.execute("ROLLBACK")


def write_ahead(path: Path) -> Path:
    """SQLite's log of what is committed and not yet in the file itself."""
    return path.with_name(path.name + "-wal")


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


def take(connection: sqlite3.Connection) -> int:
    """From now on the store is this process's: the epoch with which it writes. Whoever had it before writes nothing
    any more, whatever it believes. StoreError if it cannot be."""
    try:
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("UPDATE owner SET epoch = epoch + 1, process = ?, since = ?", (os.getpid(), time.time()))
        epoch = owner(connection)
        connection.execute("COMMIT")
    except sqlite3.Error as error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise StoreError(f"the store cannot be written: {explained(error)}") from None
    return epoch


def owner(connection: sqlite3.Connection) -> int:
    """The epoch of whoever owns the store. sqlite3.Error if it cannot be read."""
    return int(connection.execute("SELECT epoch FROM owner").fetchone()[0])


def reader(path: Path) -> sqlite3.Connection:
    """A connection that cannot write; sees what is committed."""
    connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA query_only = ON")
    connection.execute("PRAGMA cell_size_check = ON")
    return connection


def forget(connection: sqlite3.Connection) -> None:
    """What was read of a file that may have been read wrongly."""
    with suppress(sqlite3.Error):
        connection.execute("PRAGMA shrink_memory")


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """StoreError for what SQLite says."""
    try:
        yield
    except sqlite3.Error as error:
        raise StoreError(f"the store {path} cannot be read: {explained(error)}") from None


class Files:
    """The database and its write-ahead log as they were opened: what is written into files that were moved away or
    removed is in nobody's reach."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen = {each: os.stat(each) for each in (path, write_ahead(path))}

    @property
    def in_place(self) -> bool:
        """The database is where it was."""
        return self._same(self._path)

    def moved(self) -> str | None:
        """What is wrong with them."""
        for path in self._seen:
            if not self._same(path):
                what = "replaced by another file" if path.exists() else "removed"
                return f"{path} was {what}: put it back, or end the gateway, which then saves what was in it"
        return None

    def clear(self) -> None:
        """Remove the log where it is beside a database that it does not belong to."""
        if not self.in_place and self._same(write_ahead(self._path)):
            for end in ("-wal", "-shm"):
                self._path.with_name(self._path.name + end).unlink(missing_ok=True)

    def _same(self, path: Path) -> bool:
        try:
            return os.path.samestat(self._seen[path], os.stat(path))
        except OSError:
            return False


def explained(error: Exception) -> str:
    """What SQLite says, and what to do where only people can do something."""
    code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
    if isinstance(error, OSError):
        return f"{error.strerror} ({error.filename})" if error.filename else str(error.strerror or error)
    if code == sqlite3.SQLITE_CORRUPT:
        return f"{error}: the file is damaged; end the gateway and put a backup in its place"
    return str(error)
