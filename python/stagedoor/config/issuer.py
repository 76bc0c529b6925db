"""Who issues tokens."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator

from stagedoor.policies.model import Name, Strict, wrong

Json = dict[str, Any]
Algorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "HS256", "HS384", "HS512"
]


def _url(value: str) -> str:
    if not re.fullmatch(r"https?://[!-~]+", value) or "#" in value or len(value) > 1000:
        raise wrong("expected an URL for browsers, for example https://login.example/authorize")
    return value


def _path(value: str) -> str:
    if not re.fullmatch(r"/[!-~]*", value) or "#" in value or len(value) > 1000:
        raise wrong("expected a path on the issuer's cluster, for example /token")
    return value


Url = Annotated[str, AfterValidator(_url)]


class IssuerEndpoints(Strict):
    """Where an OpenID provider logs users in, by the names of its metadata."""

    authorization: Url
    """``authorization_endpoint``: where browsers are sent to log in."""
    token: Annotated[str, AfterValidator(_path)]
    """The path of ``token_endpoint``, which is asked through ``cluster``."""
    end_session: Url | None = None
    """``end_session_endpoint``: where browsers are sent to log out. Left out: a logout is ours alone."""
    iss_parameter: bool = False
    """``authorization_response_iss_parameter_supported`` (RFC 9207): refuse an answer that does not name its issuer.
    One that names another is refused anyway."""


class Issuer(Strict):
    """An issuer of tokens, with the keys that verify them."""

    issuer: Annotated[str, Field(min_length=1, max_length=1000)]
    """``iss`` of its tokens, exactly as they say it."""
    algorithms: Annotated[list[Algorithm], Field(min_length=1, max_length=13)]
    """The algorithms that it signs with; a token with another is refused, whatever its key."""
    jwks: Annotated[str, Field(max_length=262_144)] | None = None
    """Its public keys as a JWK set (RFC 7517), as text: ``${file:keys.json}``."""
    public_keys: Annotated[list[Annotated[str, Field(max_length=65_536)]], Field(max_length=32)] = []
    """Its public keys in PEM, each one key: ``${file:issuer.pem}``."""
    secret: SecretStr | None = None
    """The secret that it shares with us, for HS256, HS384 and HS512: at least as many bytes as the hash has."""
    cluster: Name | None = None
    """The cluster through which it is asked for tokens."""
    endpoints: IssuerEndpoints | None = None
    """Where it logs users in, for ``oidc``."""

    @model_validator(mode="after")
    def _keys_of_one_kind(self) -> Self:
        if self.secret is None and self.jwks is None and not self.public_keys:
            raise wrong("it needs 'jwks', 'public_keys' or 'secret': without a key no token can be verified")
        shared = [name for name in self.algorithms if name.startswith("HS")]
        if shared and len(shared) != len(self.algorithms):
            raise wrong(
                "algorithms with a shared secret and with public keys do not go together",
                "make two issuers of it: whoever may take a public key for a secret can forge tokens",
            )
        if bool(shared) != (self.secret is not None):
            raise wrong("'secret' is for HS256, HS384 and HS512, and they need it")
        if shared and (self.jwks is not None or self.public_keys):
            raise wrong("an issuer with a 'secret' has no public keys")
        return self


def compile_issuer(issuer: Issuer) -> Json:
    """Its part of the snapshot."""
    return {
        "issuer": issuer.issuer,
        "algorithms": list(issuer.algorithms),
        "jwks": issuer.jwks,
        "public_keys": list(issuer.public_keys),
        "secret": None if issuer.secret is None else issuer.secret.get_secret_value(),
        "cluster": issuer.cluster,
        "endpoints": None if issuer.endpoints is None else issuer.endpoints.model_dump(),
    }
