"""What every access token is held to, whoever vouches for it."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Discriminator, Field, SecretStr, Tag, model_validator

from stagedoor.policies.model import HeaderName, OneSpelling, Strict, duration, size, wrong
from stagedoor.policies.unit import Duration, Size

Json = dict[str, Any]
_TAKEN = frozenset({
    *("authorization", "connection", "content-length", "cookie", "dpop", "forwarded", "host", "keep-alive", "te"),
    *("proxy-authorization", "traceparent", "trailer", "transfer-encoding", "upgrade", "via", "x-real-ip"),
})  # fmt: skip


def _pointer(value: str) -> str:
    if not value.startswith("/") or len(value) > 200:
        raise wrong("expected a JSON Pointer into the claims, for example /sub")
    return value


def _secret(value: SecretStr) -> SecretStr:
    if len(value.get_secret_value().encode()) < 32:
        raise wrong("a secret has 32 bytes or more", "openssl rand -base64 48")
    return value


def _acr(value: str) -> str:
    if not re.fullmatch(r"[!#-\[\]-~]{1,200}", value):
        raise wrong("expected 1 to 200 characters of visible ASCII without quotes and backslashes")
    return value


Pointer = Annotated[str, AfterValidator(_pointer)]
Secret = Annotated[SecretStr, AfterValidator(_secret)]


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


class DpopNonce(Strict):
    """A nonce of ours in every proof, so that none can be made in advance (RFC 9449 §9)."""

    every: Duration = duration("1m", least="1s", most="1h")
    """How often there is a new one; one is taken for twice as long."""
    secrets: Annotated[list[Secret], Field(max_length=4)] = []
    """Each 32 bytes or more, the same on every gateway that clients may come to. The first makes nonces, all are taken.
    Left out: a secret that each process makes up."""


DpopAlgorithm = Literal["ES256", "ES384", "ES512", "EdDSA", "PS256", "PS384", "PS512", "RS256", "RS384", "RS512"]


class Dpop(Strict):
    """Proofs of possession (RFC 9449)."""

    mode: Literal["optional", "required"] = "required"
    """Whether tokens that come without a proof are refused. One that is bound to a key is never good without."""
    algorithms: Annotated[list[DpopAlgorithm], Field(min_length=1, max_length=10)] = [
        "ES256",
        "ES384",
        "EdDSA",
        "PS256",
        "RS256",
    ]
    """With what proofs are signed."""
    max_age: Duration = duration("1m", least="1s", most="10m")
    """How old a proof may be, by its ``iat``; ``skew`` comes on top."""
    nonce: DpopNonce | None = None
    """Asks for nonces. Left out: none are."""


def _shape(value: Any) -> str:
    return "<mode>" if isinstance(value, str) else "<settings>"


AnyDpop = Annotated[
    Annotated[Literal["off", "optional", "required"], Tag("<mode>")] | Annotated[Dpop, Tag("<settings>")],
    Discriminator(_shape),
]


class AccessToken(Claims):
    """A token of OAuth 2, for us and for now."""

    audience: Annotated[list[str], Field(min_length=1, max_length=32)] | Literal["any"]
    """Names of us, of which ``aud`` holds one. ``any`` takes tokens that were issued for others too."""
    skew: Duration = duration("30s", least="0s", most="10m")
    """How far the issuer's clock and ours may differ."""
    required: Annotated[dict[str, str | int | bool], Field(max_length=32)] = {}
    """Claims that must be there, with these values."""
    max_size: Size = size("16KiB", least="256B", most="64KiB")
    """Longer tokens are refused unread."""
    bound: Literal["mtls"] | None = None
    """Takes only tokens that are bound to the client's certificate (RFC 8705). One that is bound is never good without
    it, whatever stands here."""
    dpop: AnyDpop = "off"
    """Tokens with a proof that the client has the key to which they are bound (RFC 9449)."""
    acr_values: Annotated[list[Annotated[str, AfterValidator(_acr)]], Field(max_length=16)] = []
    """How the user must have been authenticated: values of ``acr``, of which one is enough (RFC 9470)."""
    max_age: Duration | None = duration(None, least="1s", most="30d", optional=True)
    """How long ago that may have been, by ``auth_time``. Left out: any time."""
    forward: bool = False
    """Whether the target sees the token; else it is taken away like every credential."""

    def proofs(self) -> Dpop | None:
        """None: tokens with proofs are not taken."""
        if isinstance(self.dpop, Dpop):
            return self.dpop
        return None if self.dpop == "off" else Dpop(mode=self.dpop)


def compile_access_token(settings: AccessToken) -> Json:
    """Its part of the snapshot."""
    parts: Json = {
        "audience": [] if settings.audience == "any" else list(settings.audience),
        "skew_s": int(settings.skew) // 1000,
        "required": dict(settings.required),
        "claims": compile_claims(settings),
        "max_bytes": int(settings.max_size),
        "forward": settings.forward,
    }
    if settings.bound:
        parts["bound"] = settings.bound
    if (dpop := settings.proofs()) is not None:
        parts["dpop"] = _dpop(dpop)
    if settings.acr_values or settings.max_age is not None:
        max_age = settings.max_age
        parts["step_up"] = {
            "acr_values": list(settings.acr_values),
            "max_age_s": None if max_age is None else int(max_age) // 1000,
        }
    return parts


def _dpop(dpop: Dpop) -> Json:
    nonce = dpop.nonce
    return {
        "required": dpop.mode == "required",
        "algorithms": list(dpop.algorithms),
        "max_age_s": int(dpop.max_age) // 1000,
        "nonce": None
        if nonce is None
        else {
            "every_s": int(nonce.every) // 1000,
            "secrets": [secret.get_secret_value() for secret in nonce.secrets],
        },
    }
