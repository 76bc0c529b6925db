"""What an execution comes to when it reaches a limit: an error that nothing catches."""

from __future__ import annotations

from typing import Any

from stagedoor.workflow.error import standard
from stagedoor.workflow.events import Limit

MAX_TASKS = 1_000_000
"""Tasks that an execution starts without waiting for anything, unless the operator says otherwise."""

Json = Any

_WORDS: dict[Limit, tuple[str, str]] = {
    "events": ("Too many events", "its history has more than {} events"),
    "size": ("Too much data", "its history is larger than {} bytes"),
    "tasks": ("Endless loop", "more than {} tasks ran without waiting for a call or a timer"),
    "timers": ("Too many timers", "it waits for more than {} points in time at once"),
    "listeners": ("Too many listeners", "it listens more than {} times at once"),
}


def reached(limit: Limit, most: int, instance: str) -> dict[str, Json]:
    """``instance``: the task that did; empty: the execution as a whole."""
    title, detail = _WORDS[limit]
    return standard("runtime", 500, title, instance, detail.format(most))
