"""What becomes of tasks and of their listeners while an event is fed: for those who want to be told of it."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple

Json = Any
What = Literal["created", "started", "suspended", "resumed", "retried", "completed", "faulted", "cancelled"]


class Move(NamedTuple):
    """One run of one task goes over into another phase, as the specification names them."""

    what: What
    task: str
    """Its reference."""
    path: str
    """Iterations around it."""
    undoes: str | None
    """The reference of the task that it undoes."""
    error: Json = None


class Correlating(NamedTuple):
    """One run of a task begins to look for the events that it is meant for, or has them all."""

    what: Literal["started", "completed"]
    task: str
    """Its reference."""
    path: str
    """Iterations around it."""
    keys: dict[str, Json]
    """What its correlations have come to, by name."""
