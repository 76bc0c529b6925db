"""How often a caller may call."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag

from stagedoor.policies.model import HeaderName, Name, Strict, duration
from stagedoor.policies.unit import Duration


class ByHeader(Strict):
    """Count by a header's value."""

    header: HeaderName
    """Requests with the same value share a counter; requests without the header share one."""


def _shape(value: Any) -> str:
    return "<header>" if isinstance(value, dict | ByHeader) else "<name>"


By = Annotated[
    Annotated[Literal["consumer", "address", "route"], Tag("<name>")] | Annotated[ByHeader, Tag("<header>")],
    Discriminator(_shape),
]


class RateLimit(Strict):
    """At most ``limit`` requests ``per`` time, refilled evenly (GCRA); more are answered with 429."""

    limit: Annotated[int, Field(ge=1, le=1_000_000_000)]
    """Requests in each span of time."""
    per: Duration = duration(None, least="1ms", most="31d")
    """The span of time."""
    burst: Annotated[int, Field(ge=1, le=1_000_000_000)] | None = None
    """Requests that may come at once. Left out: ``limit``."""
    by: By = "address"
    """Who shares a counter: ``consumer`` (needs ``authenticate``), ``address`` (the client's, behind trusted proxies),
    ``route`` (all callers together), or ``{header: NAME}``."""
    name: Name | None = None
    """Rules of one name share their counters across routes. Left out: every route counts for itself."""


RateLimits = Annotated[list[RateLimit], Field(min_length=1, max_length=8)]
