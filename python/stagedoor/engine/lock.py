"""The file that says which process runs a store: held for the life of the process, named in it, and looked after."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

from stagedoor.engine.store import StoreError, StoreInUse

TRIES = 16
"""Lock files that are removed while they are being locked, before it is given up."""


class Lock:
    """StoreInUse if another process has it, StoreError if it cannot be had at all.

    A file of its own beside the database: SQLite's locks on the database itself would be lost when any descriptor of it
    is closed. It stays when the lock is let go: removing it would let two processes lock two different files of that
    name. Where somebody else removes it, two processes may well think that the store is theirs; the owner that is
    written in the store itself (``take`` of store.py) then keeps one of them from writing.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._store = path.with_name(path.name + ".lock"), path
        self._descriptor = self._take()

    def held(self) -> bool:
        """The file of that name is still the one that is locked."""
        return _same(self._descriptor, self._path)

    def renew(self) -> None:
        """Lock the file that is there now. StoreInUse if another process has."""
        descriptor = self._take()
        os.close(self._descriptor)
        self._descriptor = descriptor

    def release(self) -> None:
        os.close(self._descriptor)

    def _take(self) -> int:
        for _ in range(TRIES):
            try:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            except OSError as error:
                text = f"the store {self._store} cannot be opened: {error.strerror} ({error.filename})"
                raise StoreError(text) from None
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                by = _described(os.pread(descriptor, 32, 0).decode("ascii", "replace").strip())
                os.close(descriptor)
                text = f"the store {self._store} is in use by {by}: one gateway runs a store at a time"
                raise StoreInUse(text) from None
            if _same(descriptor, self._path):
                os.ftruncate(descriptor, 0)
                os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
                return descriptor
            os.close(descriptor)
        raise StoreError(f"the store {self._store} cannot be opened: {self._path} is removed again and again")


def _same(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), os.stat(path))
    except OSError:
        return False


def _described(holder: str) -> str:
    """A process that is stopped keeps the store and does nothing with it: whoever waits for it should know."""
    if not holder.isdecimal():
        return "another process"
    try:
        state = Path(f"/proc/{holder}/stat").read_text("ascii", "replace").rpartition(")")[2].split()[0]
    except (OSError, IndexError):
        state = ""
    stopped = ", which is stopped: continue it or end it" if state in ("T", "t") else ""
    return f"process {holder}{stopped}"
