"""Tokens that last as long as a measurement, one for each algorithm, and the keys that verify them."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass

from joserfc import jwt
from joserfc.jwk import ECKey, Key, KeySet, OctKey, OKPKey, RSAKey

ISSUER = "https://issuer.example"
KEYS = {
    "RS256": lambda: RSAKey.generate_key(2048),
    "ES256": lambda: ECKey.generate_key("P-256"),
    "EdDSA": lambda: OKPKey.generate_key("Ed25519"),
}


@dataclass(frozen=True)
class Tokens:
    jwks: str
    """The public keys, as JSON."""
    secret: str
    """Of HS256."""
    by_algorithm: dict[str, str]


def issued() -> Tokens:
    secret = "a-secret-for-figures-alone-0123456789abcdef"
    keys: dict[str, Key] = {name: make() for name, make in KEYS.items()}
    for key in keys.values():
        key.ensure_kid()
    public = KeySet(list(keys.values())).as_dict(private=False)
    keys["HS256"] = OctKey.import_key(secret)
    now = int(time.time())
    claims = {"sub": "user-1", "aud": "shop", "iat": now, "exp": now + 86400, "scope": "read write"}

    def signed(name: str, key: Key) -> str:
        header = {"alg": name, "typ": "at+jwt"}
        issuer = ISSUER if name in KEYS else f"{ISSUER}/shared"
        if name in KEYS:
            header["kid"] = str(key.kid)
        return jwt.encode(header, {"iss": issuer, **claims}, key, algorithms=[name])

    return Tokens(json.dumps(public), secret, {name: signed(name, key) for name, key in keys.items()})
