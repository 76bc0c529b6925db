"""Disks that fail and forget: what disk.c does to the files of a store, in a process of its own."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
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
