"""What happened, for people: one entry for each run of a task."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Json = Any

MAX_ENTRIES = 10_000
"""Entries kept of one execution; later ones are only counted."""


class Entry:
    """One run of one task. Times are seconds since the epoch."""

    __slots__ = ("at", "attempt", "call", "error", "kind", "name", "outcome", "path", "task", "undoes", "until")

    def __init__(self, task: str, name: str, kind: str, path: str, at: float, undoes: str | None) -> None:
        self.task = task
        self.name = name
        self.kind = kind
        self.path = path
        self.at = at
        self.undoes = undoes
        self.until: float | None = None
        self.outcome = "running"
        """``running completed skipped failed unknown cancelled``; of an incident ``open`` or the operator's action."""
        self.attempt = 1
        self.call: str | None = None
        """``METHOD endpoint`` of a call, or what the operator said."""
        self.error: Json = None

    def show(self) -> dict[str, Json]:
        shown: dict[str, Json] = {"task": self.task, "name": self.name, "kind": self.kind}
        for key in ("path", "undoes", "call"):
            if getattr(self, key):
                shown[key] = getattr(self, key)
        shown.update(attempt=self.attempt, at=self.at, until=self.until, outcome=self.outcome)
        if self.error is not None:
            shown["error"] = self.error
        return shown


class Timeline:
    __slots__ = ("dropped", "entries")

    def __init__(self) -> None:
        self.entries: list[Entry] = []
        self.dropped = 0

    def add(self, entry: Entry) -> Entry:
        if len(self.entries) < MAX_ENTRIES:
            self.entries.append(entry)
        else:
            self.dropped += 1
        return entry

    def running(self) -> Iterator[Entry]:
        """Those that have begun and not ended."""
        return (entry for entry in self.entries if entry.outcome == "running")

    def show(self) -> list[dict[str, Json]]:
        """In the order in which the tasks began."""
        return [entry.show() for entry in self.entries]
