"""Which web pages of other origins may call, by the Fetch standard's CORS protocol."""

from __future__ import annotations

import re
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from stagedoor.policies.model import HeaderName, Method, Strict, duration, wrong
from stagedoor.policies.unit import Duration

_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://([a-z0-9._-]+|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")
_PATTERN = re.compile(
    r"[a-z][a-z0-9+.-]*://"
    r"(\*(\.[a-z0-9_-]+){2,}(:[0-9]{1,5}|:\*)?|([a-z0-9_-]+(\.[a-z0-9_-]+)*|\[[0-9a-f:.]+\]):\*)"
)


def _origin(value: str) -> str:
    if value in ("*", "null") or _ORIGIN.fullmatch(value):
        return value
    hint = None
    trimmed = value.rstrip("/").lower()
    if _ORIGIN.fullmatch(trimmed):
        hint = "write it in lower case and without a path, as browsers send it"
    raise wrong("expected '*' or an origin such as https://shop.example.com", hint)


def _pattern(value: str) -> str:
    if _PATTERN.fullmatch(value):
        return value
    if "*" in value and value != "*":
        raise wrong(
            "expected '*.' before a name of at least two parts, or ':*' at the end, as in https://*.example.com:*"
        )
    return _origin(value)


Origin = Annotated[str, AfterValidator(_origin)]
"""As browsers send it, ``null``, or ``*``."""

OriginPattern = Annotated[str, AfterValidator(_pattern)]
"""The same, or all hosts below a name (``https://*.example.com``), or any port (``http://localhost:*``)."""


class Cors(Strict):
    """Answer preflights and name the origins that may read responses."""

    origins: Annotated[list[OriginPattern], Field(min_length=1, max_length=1000)]
    """Origins exactly as browsers send them; ``https://*.example.com`` is every host below it, ``http://localhost:*``
    any port. Or ``*`` alone for any."""
    methods: Annotated[list[Method], Field(min_length=1, max_length=32)] = ["GET", "HEAD", "POST"]
    """Methods that pages may use; ``*`` is any that is asked for."""
    headers: Annotated[list[HeaderName], Field(max_length=100)] = []
    """Request headers that pages may set; ``*`` is any that is asked for."""
    expose: Annotated[list[HeaderName], Field(max_length=100)] = []
    """Response headers that pages may read; ``*`` is any, without credentials."""
    credentials: bool = False
    """Whether cookies and other credentials may be sent; not with the origin ``*``, nor with ``null``."""
    private_network: bool = False
    """Whether pages of the public internet may ask here, where this is a private network
    (``Access-Control-Allow-Private-Network``)."""
    max_age: Duration = duration("10m", least="0s", most="1d")
    """How long browsers may keep the answer to a preflight; whole seconds count."""

    @model_validator(mode="after")
    def _named_origins_with_credentials(self) -> Self:
        if self.credentials and "*" in self.origins:
            raise wrong("'credentials: true' does not go with the origin '*'", "name the origins")
        if self.credentials and "null" in self.origins:
            raise wrong("'credentials: true' does not go with the origin 'null', which every page can make its own")
        return self
