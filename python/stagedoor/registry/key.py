"""API keys: ``sd_PREFIX_SECRET``. The prefix finds a key, and its hash under a secret of this store proves it.

A fast hash is right here, and a slow one would only slow down the gateway: a key is 256 random bits, which nobody can
guess their way through, unlike a password. The secret of the hash is a file of its own, so that a stolen database does
not even allow a guess at whether a key is in it.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
import string
from dataclasses import dataclass
from pathlib import Path

from stagedoor.errors import StagedoorError

PREFIX_CHARACTERS = 12
SECRET_BYTES = 32
_ALPHABET = string.ascii_letters + string.digits


class KeyFileError(StagedoorError):
    """The file with the secret of the hashes cannot be used; says which and why."""


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key as it is shown once, and what is kept of it."""

    text: str
    prefix: str
    hmac: str

    def __repr__(self) -> str:
        return f"NewKey(prefix={self.prefix!r})"


def make(secret: bytes) -> NewKey:
    """A key of 256 random bits. All keys begin with ``sd_``, so that scanners for leaked secrets find them."""
    prefix = random_name()
    text = f"sd_{prefix}_{secrets.token_urlsafe(SECRET_BYTES)}"
    return NewKey(text, prefix, hmac.new(secret, text.encode(), hashlib.sha256).hexdigest())


def random_name() -> str:
    """12 letters and digits, which name something and are no secret."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(PREFIX_CHARACTERS))


def secret(path: Path, *, fresh: bool) -> bytes:
    """The secret in ``path``, made where there is none yet; ``fresh`` says that no key depends on it."""
    try:
        if fresh and not path.exists():
            # Made beside it and renamed into place: whoever reads it finds it whole.
            part = path.with_name(f"{path.name}.{os.getpid()}")
            descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(secrets.token_bytes(SECRET_BYTES))
                file.flush()
                os.fsync(file.fileno())
            part.rename(path)
        value = path.read_bytes()
    except OSError as error:
        raise KeyFileError(f"the secret of the registry's hashes, {path}, cannot be used: {error.strerror}") from None
    if len(value) != SECRET_BYTES:
        raise KeyFileError(f"the secret of the registry's hashes, {path}, is not {SECRET_BYTES} bytes")
    return value
