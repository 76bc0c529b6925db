"""What clients that come without a token are told of us (RFC 9728)."""

from __future__ import annotations

import re
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, model_validator

from stagedoor.policies.model import Scope, Strict, wrong

WELL_KNOWN = "/.well-known/oauth-protected-resource"


def _identifier(value: str) -> str:
    if (
        not re.fullmatch(r"https?://[A-Za-z0-9.\[\]:-]+(/[A-Za-z0-9._~/-]*)?", value)
        or "//" in value.partition("://")[2]
    ):
        raise wrong("expected https://HOST/PATH, without a query")
    parts = urlsplit(value)
    try:
        known = (parts.hostname is not None and parts.port is None) or parts.port
    except ValueError:
        known = False
    if not known or any(part in (".", "..") for part in parts.path.split("/")):
        raise wrong("expected https://HOST/PATH, without a query")
    if parts.scheme == "http" and parts.hostname not in ("localhost", "127.0.0.1", "::1"):
        raise wrong("a resource is identified by https", "see RFC 9728 §1.2")
    return value


def _page(value: str) -> str:
    if not re.fullmatch(r"https://[!-~]{1,2000}", value):
        raise wrong("expected the https address of a page")
    return value


Page = Annotated[str, AfterValidator(_page)]


class Resource(Strict):
    """The metadata of a protected resource."""

    identifier: Annotated[str, AfterValidator(_identifier), Field(max_length=1000)]
    """Ours, as clients know it, for example ``https://api.example.com``. Routes with the same
    one are one resource."""
    name: Annotated[str, Field(min_length=1, max_length=200)] | None = None
    """Its name for people."""
    scopes: Annotated[list[Scope], Field(max_length=100)] | None = None
    """Scopes that clients may ask for. Left out: those that ``authorize`` asks for on its routes."""
    documentation: Page | None = None
    """A page for developers."""
    policy: Page | None = None
    """A page on what clients may do with what they get."""
    terms: Page | None = None
    """A page with the terms of service."""

    @model_validator(mode="after")
    def _path_in_one_form(self) -> Self:
        if urlsplit(self.identifier).path.endswith("/") and urlsplit(self.identifier).path != "/":
            raise wrong("'identifier' does not end with '/': clients would look in two places")
        return self

    def path(self) -> str:
        """Of the metadata (§3.1)."""
        return WELL_KNOWN + urlsplit(self.identifier).path.rstrip("/")

    def url(self) -> str:
        """Of the metadata."""
        parts = urlsplit(self.identifier)
        return f"{parts.scheme}://{parts.netloc}{self.path()}"
