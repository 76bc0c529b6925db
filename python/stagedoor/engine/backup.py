"""A copy of a store: whole, checked, and made while the store is used."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from stagedoor.engine.lock import Lock
from stagedoor.engine.store import BUSY_S, StoreError, connect, explained

PAGES = 1024
"""Copied at a time."""
MARK = "schema_version"
"""A table that every store has, and nothing else."""
Tell = Callable[[int, int], None]
"""Gets the pages that are left, and all of them."""


def back_up(store: Path, path: Path, tell: Tell | None = None, *, mark: str = MARK) -> None:
    """Everything that was committed before this began, in a file of its own. The store's gateway goes on meanwhile,
    and waits for nothing. StoreError says why there is no copy; ``path`` is never overwritten."""
    if not store.is_file():
        raise StoreError(f"there is no store {store}")
    try:
        source = sqlite3.connect(
            f"file:{quote(str(store.absolute()))}?mode=ro", uri=True, timeout=BUSY_S, isolation_level=None
        )
    except sqlite3.Error as error:
        raise StoreError(f"the store {store} cannot be read: {explained(error)}") from None
    try:
        # What is read first is what there is until the end: a copy of a file that changes would begin again each time.
        source.execute("BEGIN")
        if source.execute("SELECT 1 FROM sqlite_schema WHERE name = ?", (mark,)).fetchone() is None:
            raise StoreError(f"{store} is no store of a gateway")
        copy(source, path, tell)
    except sqlite3.Error as error:
        raise StoreError(f"the store {store} cannot be read: {explained(error)}") from None
    finally:
        source.close()


def restore(path: Path, store: Path, tell: Tell | None = None) -> None:
    """A copy becomes the store, and stays what it is. StoreError says why not: a gateway runs, there is a store, or
    there is what another one left."""
    lock = Lock(store)
    try:
        for each in (store, *(store.with_name(store.name + end) for end in ("-wal", "-shm"))):
            if os.path.lexists(each):
                # SQLite would take another file's log for this one's.
                raise StoreError(
                    f"{each} is there: move {store.name}, {store.name}-wal and {store.name}-shm away first"
                )
        back_up(path, store, tell)
    finally:
        lock.release()


def vacuum(store: Path) -> tuple[int, int]:
    """Write the file anew without what is free in it, and so that later what becomes free can be given back while the
    store is used. Its size in bytes before and after. StoreError if a gateway runs."""
    if not store.is_file():
        raise StoreError(f"there is no store {store}")
    lock = Lock(store)
    try:
        before = store.stat().st_size
        connection = connect(store)
        try:
            connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            connection.execute("VACUUM")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error as error:
            raise StoreError(f"the store {store} cannot be written anew: {explained(error)}") from None
        finally:
            connection.close()
        return before, store.stat().st_size
    finally:
        lock.release()


def copy(source: sqlite3.Connection, path: Path, tell: Tell | None = None) -> None:
    """What the connection sees, in a new file, whole or not at all. StoreError says why it cannot be, for example since
    the file is there."""
    if os.path.lexists(path):
        raise StoreError(f"{path} is there already: name another file")
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        # Nobody else may read it, as nobody else may read the store.
        os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        try:
            _fill(source, part, tell)
            _name(part, path)
        finally:
            for each in (part, *(part.with_name(part.name + end) for end in ("-journal", "-wal", "-shm"))):
                each.unlink(missing_ok=True)
    except FileExistsError:
        raise StoreError(f"{path} is there already: name another file") from None
    except sqlite3.Error as error:
        raise StoreError(f"no copy can be made at {path}: {explained(error)}") from None
    except OSError as error:
        raise StoreError(f"no copy can be made at {path}: {error.strerror} ({error.filename})") from None


def _fill(source: sqlite3.Connection, part: Path, tell: Tell | None) -> None:
    target = sqlite3.connect(part, isolation_level=None)
    try:
        # Nothing of it counts before all of it is on the disk.
        target.execute("PRAGMA synchronous = OFF")
        source.backup(target, pages=PAGES, progress=None if tell is None else lambda _, left, whole: tell(left, whole))
        # One file, without a log beside it.
        target.execute("PRAGMA journal_mode = DELETE")
        check(target)
    finally:
        target.close()
    _sync(part, os.O_RDWR)


def check(connection: sqlite3.Connection) -> None:
    """Every page is as it must be. StoreError says what is not."""
    found = [str(row[0]) for row in connection.execute("PRAGMA integrity_check(3)")]
    if found != ["ok"]:
        raise StoreError(f"the store is damaged: {'; '.join(found)}")


def _name(part: Path, path: Path) -> None:
    """Unlike a new name, a second one never takes another file's place."""
    os.link(part, path)
    _sync(path.parent, os.O_RDONLY | os.O_DIRECTORY)


def _sync(path: Path, flags: int) -> None:
    descriptor = os.open(path, flags | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
