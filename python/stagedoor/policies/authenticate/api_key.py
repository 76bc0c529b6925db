"""A key in a header or in the query."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator

from stagedoor.policies.model import HeaderName, Strict, wrong

Json = dict[str, Any]


def _parameter(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9._~-]{1,64}", value):
        raise wrong("expected the name of a query parameter: 1 to 64 letters, digits, '.', '_', '~' and '-'")
    return value


class ApiKey(Strict):
    """A key in a header or in the query."""

    header: HeaderName | None = None
    """The header that carries the key. ``x-api-key`` where neither ``header`` nor ``query`` is given."""
    query: Annotated[str, AfterValidator(_parameter)] | None = None
    """The query parameter that carries the key; it is removed before forwarding."""


def compile_api_key(settings: ApiKey) -> Json:
    """Its part of the snapshot."""
    if settings.header is None and settings.query is None:
        settings = ApiKey(header="x-api-key")
    return {"header": settings.header, "query": settings.query}
