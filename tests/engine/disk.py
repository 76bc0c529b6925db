"""Disks that fail and forget: what disk.c does to the files of a store, in a process of its own."""

from __future__ import annotations

import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

SOURCE = Path(__file__).with_name("disk.c")


class Disk:
    """For the store of that path; made in ``folder``."""

    def __init__(self, store: Path, folder: Path) -> None:
        self.image = folder / "image"
        """What a power cut would leave: a folder with ``store.db`` and its log."""
        self._faults = folder / "faults"
        for each in (self.image, self._faults):
            each.mkdir(parents=True)
        library = folder / "disk.so"
        subprocess.run(["cc", "-shared", "-fPIC", "-O1", "-o", library, SOURCE, "-ldl", "-lpthread"], check=True)
        self.environment = {
            "LD_PRELOAD": str(library),
            "DISK_STORE": str(store),
            "DISK_FAULTS": str(self._faults),
            "DISK_IMAGE": str(self.image),
        }

    @contextmanager
    def fault(self, name: str) -> Iterator[None]:
        """``write`` ``full`` ``read`` ``sync`` ``sync-db`` ``sync-wal``"""
        (self._faults / name).touch()
        try:
            yield
        finally:
            (self._faults / name).unlink()


def damage(store: Path, table: str) -> Callable[[], None]:
    """The first page of a table becomes noise. Puts it right again."""
    connection = sqlite3.connect(store)
    [(page,)] = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (table,))
    [(size,)] = connection.execute("PRAGMA page_size")
    connection.close()

    def put(content: bytes) -> bytes:
        with store.open("r+b") as file:
            file.seek((page - 1) * size)
            before = file.read(size)
            file.seek((page - 1) * size)
            file.write(content)
        return before

    whole = put(b"\xaa" * size)
    return lambda: [put(whole), None][1]
