"""Noticing that a file of the configuration has changed."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

Signature = dict[Path, tuple[int, int, int] | None]


class Watch:
    """Looks at files and at their folders, so that files which appear where a glob finds them are noticed too."""

    def __init__(self, files: Iterable[Path]) -> None:
        self._paths: frozenset[Path] = frozenset()
        self._seen: Signature = {}
        self._moving: Signature | None = None
        self.follow(files)

    def follow(self, files: Iterable[Path]) -> None:
        """From now on these. A change since the last look to one that was followed before is still to be noticed."""
        files = frozenset(files)
        self._paths = files | {file.parent for file in files}
        self._seen, self._moving = {**self._look(), **self._known()}, None

    def _known(self) -> Signature:
        return {path: seen for path, seen in self._seen.items() if path in self._paths}

    def changed(self) -> bool:
        """True once for each change, when two looks in a row found the same: what is being written is left alone."""
        now = self._look()
        if now == self._seen:
            self._moving = None
            return False
        if now != self._moving:
            self._moving = now
            return False
        self._seen, self._moving = now, None
        return True

    def _look(self) -> Signature:
        return {path: _signature(path) for path in self._paths}


def _signature(path: Path) -> tuple[int, int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return (found.st_mtime_ns, found.st_size, found.st_ino)
