"""Public keys by which consumers sign, for the scheme ``signature``.

Shared secrets are refused: to verify with one, it must be kept so that it can be read, and then whoever reads the store
could sign. The configuration takes them from the environment or from a file.
"""

from __future__ import annotations

from typing import Annotated, Any, get_args

from pydantic import AfterValidator, Field

from stagedoor.config.signature_key import SignatureAlgorithm
from stagedoor.policies.model import wrong
from stagedoor.registry.credential import Made
from stagedoor.registry.model import Rights, Rotation
from stagedoor.registry.store import Row

Json = Any
KEY_CHARACTERS = 8192


def _asymmetric(value: str) -> str:
    known = [each for each in get_args(SignatureAlgorithm) if not each.startswith("hmac")]
    if value.startswith("hmac"):
        raise wrong(
            "the registry keeps no shared secrets, since whoever reads them could sign: use a public key, or give the"
            " secret in the configuration"
        )
    if value not in known:
        raise wrong(f"expected one of {', '.join(known)}")
    return value


def _key_id(value: str) -> str:
    if not all(" " <= char <= "~" for char in value):
        raise wrong("a keyid is visible ASCII")
    return value


KeyId = Annotated[str, Field(min_length=1, max_length=256), AfterValidator(_key_id)]
"""``keyid`` of the signatures."""
Algorithm = Annotated[str, AfterValidator(_asymmetric)]
PublicKey = Annotated[str, Field(max_length=KEY_CHARACTERS)]
"""In PEM, or as a JWK."""


class NewSignatureKey(Rights):
    key_id: KeyId
    algorithm: Algorithm
    public_key: PublicKey


class SignatureKeyRotation(Rotation):
    key_id: KeyId
    algorithm: Algorithm | None = None
    """Left out: that of the old key."""
    public_key: PublicKey


class Signature:
    name, part = "signature", "signature_keys"
    new: type[Rights] = NewSignatureKey
    again: type[Rotation] = SignatureKeyRotation
    most = 1

    def make(self, consumer: str, asked: NewSignatureKey) -> Made:
        return Made(asked.key_id, {"algorithm": asked.algorithm, "public_key": asked.public_key})

    def remake(self, old: Row, asked: SignatureKeyRotation) -> Made:
        algorithm = asked.algorithm or old["settings"]["algorithm"]
        return Made(asked.key_id, {"algorithm": algorithm, "public_key": asked.public_key})

    def shown(self, row: Row) -> Json:
        return {"key_id": row["mark"], **row["settings"]}

    def compile(self, row: Row) -> Json:
        return {"id": row["mark"], **row["settings"], "secret": None}
