"""Other protocols than HTTP on a connection that began as a request: WebSocket."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, Field

from stagedoor.policies.model import Strict, duration, is_token, wrong
from stagedoor.policies.unit import Duration

_PAST_POLICIES = re.compile(r"(h2c|http|tls)(/.*)?")
"""What would carry requests that no policy sees."""


def _protocol(value: str) -> str:
    if not all(is_token(part) for part in value.split("/", 1)):
        raise wrong("expected the name of a protocol, for example websocket")
    if _PAST_POLICIES.fullmatch(value.lower()):
        raise wrong("requests over this protocol would pass the gateway's policies by")
    return value.lower()


Protocol = Annotated[str, Field(max_length=100), AfterValidator(_protocol)]


class Upgrade(Strict):
    """Clients may go over to one of ``protocols``: by ``Upgrade``, for WebSocket also by HTTP/2's extended CONNECT.
    The policies before this one are applied to the request that asks for it."""

    protocols: Annotated[list[Protocol], Field(min_length=1, max_length=16)] = ["websocket"]
    """What clients may ask for, by the names that stand in ``Upgrade``."""
    idle: Duration = duration("60s", least="100ms", most="1d")
    """Between two bytes, whichever way they go; then the connection is closed."""
    drain: Duration = duration("10s", least="0s", most="1h")
    """How long an open connection lives on when the gateway shuts down."""
    connections: Annotated[int, Field(ge=1, le=1_000_000)] = 10_000
    """Upgraded connections of a route at once; one more is answered with 503."""
