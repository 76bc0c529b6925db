"""Headers to remove, set and add, towards the endpoint and towards the client."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from stagedoor.policies.model import HeaderName, HeaderValue, OneSpelling, Strict


class HeaderChanges(Strict):
    """Applied in the order remove, set, add."""

    remove: Annotated[list[HeaderName], Field(max_length=100)] = []
    """Headers to take away."""
    set: Annotated[dict[HeaderName, HeaderValue], Field(max_length=100), OneSpelling] = {}
    """Headers to set, whatever was there."""
    add: Annotated[dict[HeaderName, HeaderValue], Field(max_length=100), OneSpelling] = {}
    """Headers to put beside those that are there."""


class Headers(Strict):
    """Change headers of the request to the endpoint and of the response to the client."""

    request: HeaderChanges = HeaderChanges()
    """Changes to the request before it is forwarded."""
    response: HeaderChanges = HeaderChanges()
    """Changes to the response, also to the gateway's own errors."""
