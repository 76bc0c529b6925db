"""Signed tokens of known issuers (RFC 7519)."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from stagedoor.policies.authenticate.access_token import AccessToken, compile_access_token
from stagedoor.policies.model import Name, wrong

Json = dict[str, Any]


class Jwt(AccessToken):
    """A token in ``Authorization``, signed by one of the issuers, for us and for now."""

    issuers: Annotated[list[Name], Field(min_length=1, max_length=32)]
    """Whose tokens are taken: names of ``issuers``."""
    types: Annotated[list[str], Field(max_length=8)] = []
    """What ``typ`` says, for example ``at+jwt`` for access tokens (RFC 9068). Left out: anything."""

    @model_validator(mode="after")
    def _types_without_application(self) -> Self:
        for name in self.types:
            if name != name.lower() or name.startswith("application/") or not name:
                raise wrong("'types' are written in lower case and without 'application/', for example at+jwt")
        return self


def compile_jwt(settings: Jwt) -> Json:
    """Its part of the snapshot."""
    return {"issuers": list(settings.issuers), "types": list(settings.types), **compile_access_token(settings)}
