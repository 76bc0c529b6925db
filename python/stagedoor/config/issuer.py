"""Who issues tokens."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, SecretStr, model_validator

from stagedoor.policies.model import Strict, wrong

Json = dict[str, Any]
Algorithm = Literal[
    "RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA", "HS256", "HS384", "HS512"
]


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
    }
