"""Who calls: the credential that proves it."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag

from stagedoor.policies.model import HeaderName, Strict, wrong


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


class ApiKeyAuthenticator(Strict):
    """``api_key`` with its settings."""

    api_key: ApiKey
    """Where the key is."""


def _shape(value: Any) -> str:
    return "<name>" if isinstance(value, str) else "<settings>"


Authenticator = Annotated[
    Annotated[Literal["api_key"], Tag("<name>")] | Annotated[ApiKeyAuthenticator, Tag("<settings>")],
    Discriminator(_shape),
]


class Authenticate(Strict):
    """Only known consumers pass; others are answered with 401."""

    any: Annotated[list[Authenticator], Field(min_length=1, max_length=8)]
    """Ways to prove who calls: ``api_key``, or ``{api_key: {header: …, query: …}}``. The first that finds its
    credential decides; a wrong credential never falls through to the next."""


def api_key(authenticator: Literal["api_key"] | ApiKeyAuthenticator) -> ApiKey:
    """The settings with their default."""
    settings = ApiKey() if isinstance(authenticator, str) else authenticator.api_key
    if settings.header is None and settings.query is None:
        return ApiKey(header="x-api-key")
    return settings
