"""How long executions are kept that have ended."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from stagedoor.policies.model import Strict, duration
from stagedoor.policies.unit import Duration

LEAST, MOST = "1s", "36500d"


class WorkflowRetention(Strict):
    """Executions of one workflow. What is left out is as for all others."""

    completed: Duration | None = duration(None, least=LEAST, most=MOST, optional=True)
    """Those that came to their end."""
    faulted: Duration | None = duration(None, least=LEAST, most=MOST, optional=True)
    """Those that failed."""
    cancelled: Duration | None = duration(None, least=LEAST, most=MOST, optional=True)
    """Those that were stopped."""


class Retention(Strict):
    """Executions that have ended, from their end on. ``36500d`` keeps them for good."""

    completed: Duration = duration("30d", least=LEAST, most=MOST)
    """Those that came to their end."""
    faulted: Duration = duration("90d", least=LEAST, most=MOST)
    """Those that failed."""
    cancelled: Duration = duration("90d", least=LEAST, most=MOST)
    """Those that were stopped."""
    workflows: Annotated[dict[str, WorkflowRetention], Field(max_length=10_000)] = {}
    """Other times for some, by ``namespace/name``."""

    def seconds(self) -> dict[str | None, dict[str, float]]:
        """Workflow → status → seconds; None stands for all others."""
        found: dict[str | None, dict[str, float]] = {None: _seconds(self)}
        for name, each in self.workflows.items():
            found[name] = found[None] | _seconds(each)
        return found


def _seconds(kept: Retention | WorkflowRetention) -> dict[str, float]:
    periods = {"completed": kept.completed, "faulted": kept.faulted, "cancelled": kept.cancelled}
    return {status: period / 1000 for status, period in periods.items() if period is not None}
