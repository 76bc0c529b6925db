"""How much there may be at once, and of one execution; the rest waits, is refused, or fails and is undone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from stagedoor.engine.execution import Execution
from stagedoor.workflow.events import Limit
from stagedoor.workflow.limit import MAX_TASKS
from stagedoor.workflow.machine import Machine

QUEUE = 10_000
"""What waits for one thing, unless the operator says otherwise."""


@dataclass(frozen=True, slots=True)
class Share:
    at_once: int
    queue: int = QUEUE
    """So many more wait."""


@dataclass(frozen=True, slots=True)
class Limits:
    executions: int = 10_000
    """That have not ended."""
    workflows: Mapping[str, Share] = field(default_factory=dict)
    """By ``namespace/name``: executions under way."""
    calls: Share = Share(1000)
    """To a cluster that is not in ``clusters``."""
    clusters: Mapping[str, Share] = field(default_factory=dict)
    functions: Share = Share(1000)
    """Python functions that are coroutines."""
    events: int = 1_000_000
    """Of one execution, as the following."""
    size: int = 256 * 1024 * 1024
    """Bytes of all its events as JSON."""
    tasks: int = MAX_TASKS
    """Without waiting for anything."""
    timers: int = 1000
    listeners: int = 1000

    def cluster(self, name: str) -> Share:
        return self.clusters.get(name, self.calls)

    def reached(self, execution: Execution, machine: Machine) -> tuple[Limit, int] | None:
        """By an execution that is still on its way to its end: what it does to be undone is not limited."""
        if execution.seq > self.events:
            return "events", self.events
        if execution.size > self.size:
            return "size", self.size
        # Looked at more closely only where there are many of all kinds.
        if machine.owed > self.timers and machine.timers > self.timers:
            return "timers", self.timers
        if machine.owed > self.listeners and machine.listeners > self.listeners:
            return "listeners", self.listeners
        return None
