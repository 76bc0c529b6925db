"""What consumers may use."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from stagedoor.policies.model import Strict, duration
from stagedoor.policies.unit import Duration

Json = dict[str, Any]


class PlanRate(Strict):
    """At most ``limit`` requests ``per`` time of each consumer, refilled evenly (GCRA); more are answered with 429."""

    limit: Annotated[int, Field(ge=1, le=1_000_000_000)]
    """Requests in each span of time."""
    per: Duration = duration(None, least="1ms", most="31d")
    """The span of time."""
    burst: Annotated[int, Field(ge=1, le=1_000_000_000)] | None = None
    """Requests that may come at once. Left out: ``limit``."""


class Plan(Strict):
    """What a consumer may use, over all routes that know who calls."""

    rate_limit: Annotated[list[PlanRate], Field(max_length=8)] = []
    """How often each consumer may call, beside the limits of the routes."""


def compile_plan(plan: Plan) -> Json:
    """Its part of the snapshot."""
    return {
        "rate_limit": [
            {
                "limit": rate.limit,
                "per_ms": int(rate.per),
                "burst": rate.limit if rate.burst is None else rate.burst,
            }
            for rate in plan.rate_limit
        ]
    }
