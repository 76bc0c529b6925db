"""What becomes of tasks while an event is fed: for those who want to be told of it."""

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
