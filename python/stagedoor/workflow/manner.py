"""How a call is made where it is more than one plain HTTP request: what an activity must know beside the request."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Json = Any
Scheme = Literal["basic", "bearer", "digest", "oauth2", "oidc"]


@dataclass(frozen=True, slots=True)
class Authentication:
    """By what a call proves itself. Values over secrets are ``Deferred``; none is ever shown."""

    scheme: Scheme
    properties: dict[str, Json] = field(repr=False)
    """As the specification names them."""
    secret: str | None = None
    """The name of the secret that holds the properties."""


@dataclass(frozen=True, slots=True)
class Manner:
    authentication: Authentication | None = None
    follow: bool = False
    """Redirections are followed."""
    deferred: bool = False
    """Headers, query or body hold values over secrets."""
    activity: bool = False
    """No request at all: a function of this process."""
