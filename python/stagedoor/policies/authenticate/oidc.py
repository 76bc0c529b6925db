"""Users of browsers, logged in by an OpenID provider."""

from __future__ import annotations

import re
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, model_validator

from stagedoor.policies.authenticate.access_token import Claims, Secret, compile_claims
from stagedoor.policies.authenticate.client import Client, compile_client
from stagedoor.policies.model import Scope, Strict, duration, wrong
from stagedoor.policies.unit import Duration

Json = dict[str, Any]

_OURS = {
    "response_type",
    "response_mode",
    "client_id",
    "client_secret",
    "redirect_uri",
    "scope",
    "state",
    "nonce",
    "code_challenge",
    "code_challenge_method",
    "request",
    "request_uri",
}


def _path(value: str) -> str:
    if not re.fullmatch(r"/(?![/\\])[!-~]{0,199}", value) or any(char in value for char in "?#\\%"):
        raise wrong("expected a path of ours, for example /oauth2/callback")
    return value


def _page(value: str) -> str:
    if not re.fullmatch(r"/(?![/\\])[!-~]{0,999}", value) or any(char in value for char in "#\\"):
        raise wrong("expected a path of ours, for example /goodbye")
    return value


def _origin(value: str) -> str:
    if not re.fullmatch(r"https?://[a-z0-9.-]+(:\d{1,5})?|https?://\[[0-9a-f:]+\](:\d{1,5})?", value):
        raise wrong("expected an origin as browsers show it, for example https://shop.example")
    return value


def _cookie(value: str) -> str:
    if not re.fullmatch(r"(?!__)[A-Za-z0-9_-]{1,64}", value):
        raise wrong("expected 1 to 64 letters, digits, '_' and '-'; the prefix __Host- is set where it can be")
    return value


OwnPath = Annotated[str, AfterValidator(_path)]


class Session(Strict):
    """A browser's session, which its own cookie holds, sealed."""

    secrets: Annotated[list[Secret], Field(min_length=1, max_length=4)]
    """Each 32 bytes or more. The first seals, all open: to change one, put the new one in front of it."""
    lifetime: Duration = duration("8h", least="1m", most="30d")
    """From the login on."""
    idle: Duration = duration("1h", least="1m", most="30d")
    """From the last request on."""
    cookie: Annotated[str, AfterValidator(_cookie)] = "stagedoor"
    """Name of its cookie. Over TLS ``__Host-`` is put before it."""


class Oidc(Client):
    """Login with OpenID Connect: who asks for a page and has no session is sent to the provider."""

    scopes: Annotated[list[Scope], Field(min_length=1, max_length=32)] = ["openid"]
    """What is asked for; ``openid`` must be among them. Many providers give refresh tokens for ``offline_access``."""
    parameters: Annotated[dict[str, str], Field(max_length=16)] = {}
    """Further parameters of the request to log in, for example ``prompt`` or ``acr_values``."""
    origin: Annotated[str, AfterValidator(_origin)] | None = None
    """Ours, as browsers see it. Left out: scheme and host of the request."""
    require_iss: bool = False
    """Refuse an answer of the provider that does not name its issuer (RFC 9207); one that names another is refused
    anyway. For providers whose metadata has ``authorization_response_iss_parameter_supported``."""
    redirect_path: OwnPath = "/oauth2/callback"
    """Where the provider sends users back to. A route with this policy must match it."""
    logout_path: OwnPath = "/oauth2/logout"
    """Where users log out. A route with this policy must match it."""
    after_logout: Annotated[str, AfterValidator(_page)] = "/"
    """The page of ours that users see after that."""
    session: Session
    """How long users stay logged in, and what seals that."""
    skew: Duration = duration("30s", least="0s", most="10m")
    """How far the issuer's clock and ours may differ."""
    required: Annotated[dict[str, str | int | bool], Field(max_length=32)] = {}
    """Claims of the ID token that must be there, with these values."""
    claims: Claims = Claims()
    """Where the ID token says who the user is."""
    timeout: Duration = duration("10s", least="100ms", most="1m")
    """Of a request to the provider."""

    @model_validator(mode="after")
    def _a_login_of_our_own(self) -> Self:
        if "openid" not in self.scopes:
            raise wrong("'scopes' must hold 'openid': without it there is no ID token")
        if taken := sorted(_OURS & set(self.parameters)):
            raise wrong(f"'parameters' cannot set '{taken[0]}'")
        if self.redirect_path == self.logout_path:
            raise wrong("'redirect_path' and 'logout_path' must be different")
        return self


def compile_oidc(settings: Oidc) -> Json:
    """Its part of the snapshot."""
    return {
        **compile_client(settings),
        "scopes": list(settings.scopes),
        "parameters": dict(settings.parameters),
        "origin": settings.origin,
        "require_iss": settings.require_iss,
        "redirect_path": settings.redirect_path,
        "logout_path": settings.logout_path,
        "after_logout": settings.after_logout,
        "session": {
            "secrets": [secret.get_secret_value() for secret in settings.session.secrets],
            "lifetime_s": int(settings.session.lifetime) // 1000,
            "idle_s": int(settings.session.idle) // 1000,
            "cookie": settings.session.cookie,
        },
        "skew_s": int(settings.skew) // 1000,
        "required": dict(settings.required),
        "claims": compile_claims(settings.claims),
        "timeout_ms": int(settings.timeout),
    }
