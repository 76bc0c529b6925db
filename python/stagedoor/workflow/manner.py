"""How a call is made where it is more than one plain HTTP request: what an activity must know beside the request."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from stagedoor._core import GrpcMethod

Json = Any
Scheme = Literal["basic", "bearer", "digest", "oauth2", "oidc"]
SCHEMES: dict[Scheme, str] = {
    "basic": "Basic",
    "bearer": "Bearer",
    "digest": "Digest",
    "oauth2": "Bearer",
    "oidc": "Bearer",
}
"""As HTTP names them (RFC 9110, 11.1)."""


@dataclass(frozen=True, slots=True)
class Authentication:
    """By what a call proves itself. Values over secrets are ``Deferred``; none is ever shown."""

    scheme: Scheme
    properties: dict[str, Json] = field(repr=False)
    """As the specification names them."""
    secret: str | None = None
    """The name of the secret that holds the properties."""
    place: tuple[str, str] | None = None
    """Where a bearer token goes instead of ``Authorization``: ``header``, ``query`` or ``cookie``, and a name."""


@dataclass(frozen=True, slots=True)
class Mcp:
    """A request of the Model Context Protocol; its parameters are the call's body."""

    method: str
    version: str
    client: str
    client_version: str


@dataclass(frozen=True, slots=True)
class Grpc:
    """A unary method; its argument is the call's body."""

    path: str
    method: GrpcMethod = field(repr=False, compare=False)


@dataclass(frozen=True, slots=True)
class Manner:
    authentication: Authentication | None = None
    follow: bool = False
    """Redirections are followed."""
    deferred: bool = False
    """Headers, query or body hold values over secrets."""
    activity: bool = False
    """No request at all: a function of this process."""
    timeout: float | None = None
    """Seconds for the whole of it; None for the usual."""
    mcp: Mcp | None = None
    grpc: Grpc | None = None
