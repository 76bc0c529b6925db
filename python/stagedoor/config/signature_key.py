"""A key by which a consumer signs its requests (RFC 9421)."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, SecretStr, model_validator

from stagedoor.policies.model import Strict, wrong

Json = dict[str, Any]
SignatureAlgorithm = Literal[
    "hmac-sha256", "ecdsa-p256-sha256", "ecdsa-p384-sha384", "ed25519", "rsa-pss-sha512", "rsa-v1_5-sha256"
]


class SignatureKey(Strict):
    """A key that verifies, for one algorithm: a public key or a shared secret."""

    id: Annotated[str, Field(min_length=1, max_length=256)]
    """``keyid`` of the signatures; no other key has the same."""
    algorithm: SignatureAlgorithm
    """What it signs with (RFC 9421 section 3.3)."""
    public_key: Annotated[str, Field(max_length=65_536)] | None = None
    """In PEM, or as a JWK: ``${file:partner.pem}``."""
    secret: SecretStr | None = None
    """For ``hmac-sha256``: at least 32 bytes, in base64."""

    @model_validator(mode="after")
    def _key_of_the_algorithm(self) -> Self:
        shared = self.algorithm == "hmac-sha256"
        if (self.secret is not None) != shared or (self.public_key is not None) == shared:
            raise wrong("hmac-sha256 needs a 'secret', and every other algorithm a 'public_key'; none has both")
        return self


def compile_signature_key(key: SignatureKey) -> Json:
    """Its part of the snapshot."""
    return {
        "id": key.id,
        "algorithm": key.algorithm,
        "public_key": key.public_key,
        "secret": None if key.secret is None else key.secret.get_secret_value(),
    }
