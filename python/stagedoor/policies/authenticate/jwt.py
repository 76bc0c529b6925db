"""Signed tokens of known issuers (RFC 7519), as bearer tokens (RFC 6750)."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from stagedoor.policies.model import HeaderName, Name, OneSpelling, Strict, duration, size, wrong
from stagedoor.policies.unit import Duration, Size

Json = dict[str, Any]


def _pointer(value: str) -> str:
    if not value.startswith("/") or len(value) > 200:
        raise wrong("expected a JSON Pointer into the claims, for example /sub")
    return value


_TAKEN = frozenset({
    *("authorization", "connection", "content-length", "cookie", "forwarded", "host", "keep-alive", "te", "trailer"),
    *("proxy-authorization", "traceparent", "transfer-encoding", "upgrade", "via", "x-real-ip"),
})  # fmt: skip
Pointer = Annotated[str, AfterValidator(_pointer)]


class Claims(Strict):
    """Where claims say who it is and what it may do."""

    subject: Pointer = "/sub"
    """Where they say who it is."""
    groups: Pointer | None = None
    """Where they say its groups: a text, or a list of texts."""
    scopes: Pointer | None = None
    """Where they say its scopes. Left out: ``scope``, else ``scp``."""
    plan: Pointer | None = None
    """Where they say its plan."""
    headers: Annotated[dict[HeaderName, Pointer], OneSpelling, Field(max_length=32)] = {}
    """Headers for the target, each with the place of its value: ``{x-tenant: /tenant}``. What is not visible ASCII is
    percent-encoded, lists have commas. A client's own are removed, under every spelling."""

    @model_validator(mode="after")
    def _headers_of_their_own(self) -> Self:
        for name in self.headers:
            plain = name.replace("_", "-")
            if plain.startswith(("x-consumer-", "x-stagedoor-", "x-forwarded-")) or plain in _TAKEN:
                raise wrong(f"'headers': the header '{name}' is set by the gateway itself")
        return self


def compile_claims(claims: Claims) -> Json:
    """Its part of the snapshot."""
    return {name: getattr(claims, name) for name in ("subject", "groups", "scopes", "plan")} | {
        "headers": dict(claims.headers)
    }


class Jwt(Claims):
    """A token in ``Authorization: Bearer``, signed by one of the issuers, for us and for now."""

    issuers: Annotated[list[Name], Field(min_length=1, max_length=32)]
    """Whose tokens are taken: names of ``issuers``."""
    audience: Annotated[list[str], Field(min_length=1, max_length=32)] | Literal["any"]
    """Names of us, of which ``aud`` holds one. ``any`` takes tokens that were issued for others too."""
    types: Annotated[list[str], Field(max_length=8)] = []
    """What ``typ`` says, for example ``at+jwt`` for access tokens (RFC 9068). Left out: anything."""
    skew: Duration = duration("30s", least="0s", most="10m")
    """How far the issuer's clock and ours may differ."""
    required: Annotated[dict[str, str | int | bool], Field(max_length=32)] = {}
    """Claims that must be there, with these values."""
    max_size: Size = size("16KiB", least="256B", most="64KiB")
    """Longer tokens are refused unread."""
    bound: Literal["mtls"] | None = None
    """Takes only tokens that are bound to the client's certificate (RFC 8705). One that is bound is never good without
    it, whatever stands here."""
    forward: bool = False
    """Whether the target sees the token; else it is taken away like every credential."""

    @model_validator(mode="after")
    def _types_without_application(self) -> Self:
        for name in self.types:
            if name != name.lower() or name.startswith("application/") or not name:
                raise wrong("'types' are written in lower case and without 'application/', for example at+jwt")
        return self


def compile_jwt(settings: Jwt) -> Json:
    """Its part of the snapshot."""
    return {
        "issuers": list(settings.issuers),
        "audience": [] if settings.audience == "any" else list(settings.audience),
        "types": list(settings.types),
        "skew_s": int(settings.skew) // 1000,
        "required": dict(settings.required),
        "claims": compile_claims(settings),
        "max_bytes": int(settings.max_size),
        "forward": settings.forward,
        **({"bound": settings.bound} if settings.bound else {}),
    }
