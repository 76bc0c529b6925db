"""Tokens that their issuer is asked about (RFC 7662)."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import Field, model_validator

from stagedoor.policies.authenticate.access_token import AccessToken, compile_access_token
from stagedoor.policies.authenticate.client import Client, compile_client
from stagedoor.policies.model import Strict, duration, wrong
from stagedoor.policies.unit import Duration

Json = dict[str, Any]


class Remember(Strict):
    """How long an issuer's answer is good without asking again."""

    active: Duration = duration("1m", least="0s", most="1h")
    """That a token is active, and never longer than its ``exp``: so long may one be used after it was revoked."""
    inactive: Duration = duration("10s", least="0s", most="10m")
    """That it is not."""


class Introspection(Client, AccessToken):
    """A token in ``Authorization``, of any form, that its issuer says is active, for us and for now."""

    types: Annotated[list[str], Field(max_length=8)] = ["bearer", "dpop"]
    """What ``token_type`` says. ``[]`` takes answers that do not say, and with them perhaps refresh tokens."""
    remember: Remember = Remember()
    """How long answers are good."""
    timeout: Duration = duration("5s", least="100ms", most="1m")
    """Of a question."""

    @model_validator(mode="after")
    def _types_as_they_are_compared(self) -> Self:
        if any(name != name.lower() or not name for name in self.types):
            raise wrong("'types' are written in lower case, for example bearer")
        return self


def compile_introspection(settings: Introspection) -> Json:
    """Its part of the snapshot."""
    return {
        **compile_client(settings),
        "types": list(settings.types),
        "timeout_ms": int(settings.timeout),
        "remember": {
            "active_ms": int(settings.remember.active),
            "inactive_ms": int(settings.remember.inactive),
        },
        "token": compile_access_token(settings),
    }
