"""Which web pages of other origins may call, by the Fetch standard's CORS protocol."""

from __future__ import annotations

import re
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from stagedoor.policies.model import HeaderName, Method, Strict, duration, wrong
from stagedoor.policies.unit import Duration

_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://([a-z0-9._-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")


def _origin(value: str) -> str:
    if value in ("*", "null") or _ORIGIN.fullmatch(value):
        return value
    hint = None
    trimmed = value.rstrip("/").lower()
    if _ORIGIN.fullmatch(trimmed):
        hint = "write it in lower case and without a path, as browsers send it"
    raise wrong("expected '*' or an origin such as https://shop.example.com", hint)


Origin = Annotated[str, AfterValidator(_origin)]
"""As browsers send it, ``null``, or ``*``."""


class Cors(Strict):
    """Answer preflights and name the origins that may read responses."""

    origins: Annotated[list[Origin], Field(min_length=1, max_length=1000)]
    """Origins exactly as browsers send them, or ``*`` for any."""
    methods: Annotated[list[Method], Field(min_length=1, max_length=32)] = ["GET", "HEAD", "POST"]
    """Methods that pages may use."""
    headers: Annotated[list[HeaderName], Field(max_length=100)] = []
    """Request headers that pages may set."""
    expose: Annotated[list[HeaderName], Field(max_length=100)] = []
    """Response headers that pages may read."""
    credentials: bool = False
    """Whether cookies and other credentials may be sent; not with the origin ``*``."""
    max_age: Duration = duration("10m", least="0s", most="1d")
    """How long browsers may keep the answer to a preflight; whole seconds count."""

    @model_validator(mode="after")
    def _named_origins_with_credentials(self) -> Self:
        if self.credentials and "*" in self.origins:
            raise wrong("'credentials: true' does not go with the origin '*'", "name the origins")
        return self
