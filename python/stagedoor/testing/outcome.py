"""What came of a case."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stagedoor.workflow.events import Event

Json = Any


@dataclass(frozen=True, slots=True)
class Outcome:
    status: str
    output: Json
    error: Json
    """The original error, None if there was none."""
    compensation: Json
    """``{status, entries}``."""
    calls: tuple[dict[str, Json], ...]
    """In the order in which they were first sent: ``call`` (METHOD endpoint) ``task name compensates key query headers
    body``."""
    emitted: tuple[Json, ...]
    """CloudEvents, in the order in which they were emitted."""
    timeline: tuple[dict[str, Json], ...]
    waiting: tuple[str, ...]
    """Why it has not ended; empty if it has."""
    incidents: tuple[str, ...]
    """References of the tasks for which an operator was asked."""
    history: tuple[Event, ...] = field(repr=False)
    attributes: Mapping[str, Json] = field(default_factory=dict)
    """What the execution is about."""
    took: float = 0.0
    """Seconds of virtual time from the start to the end, or to the last thing that happened."""

    @property
    def order(self) -> list[str]:
        """The names of the tasks in the order in which they began."""
        return [entry["name"] for entry in self.timeline]
