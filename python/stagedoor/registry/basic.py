"""Names with passwords, for the scheme ``basic``. What is kept of a password is its argon2id hash."""

from __future__ import annotations

import secrets
import threading
import unicodedata
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator

from stagedoor import _core
from stagedoor.config.consumer import Username
from stagedoor.policies.model import Strict, wrong
from stagedoor.registry.credential import Made
from stagedoor.registry.model import Rights, Rotation
from stagedoor.registry.refused import Refused
from stagedoor.registry.store import Row

Json = Any
GENERATED_BYTES = 24
LEAST, MOST = 8, 512
"""Characters of a password that is given."""
CREDENTIAL_BYTES = 1024
"""Of ``name:password``; the data plane looks at no longer ones."""
_ONE_AT_A_TIME = threading.Lock()
"""A hash takes 19 MiB and tens of milliseconds of a core."""


def _password(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if not LEAST <= len(text) <= MOST or any(unicodedata.category(char) == "Cc" for char in text):
        raise wrong(f"a password is {LEAST} to {MOST} characters without control characters")
    return value


class Proof(Strict):
    """With neither, a password is made."""

    password: Annotated[SecretStr, AfterValidator(_password)] | None = None
    password_hash: Annotated[SecretStr, Field(max_length=512)] | None = None
    """Of argon2id (``$argon2id$…``) or bcrypt (``$2b$…``)."""

    @model_validator(mode="after")
    def _one(self) -> Self:
        if self.password is not None and self.password_hash is not None:
            raise wrong("expected 'password' or 'password_hash', not both")
        return self


class NewBasic(Rights, Proof):
    username: Username | None = None
    """Left out: the consumer's name."""


class BasicRotation(Rotation, Proof):
    pass


class Basic:
    name, part = "basic", "basic"
    new: type[Rights] = NewBasic
    again: type[Rotation] = BasicRotation
    most = 2
    """The password of a name, and for a while the one before it."""

    def make(self, consumer: str, asked: NewBasic) -> Made:
        return _made(asked.username or consumer, asked)

    def remake(self, old: Row, asked: BasicRotation) -> Made:
        return _made(old["mark"], asked)

    def shown(self, row: Row) -> Json:
        return {"username": row["mark"]}

    def compile(self, row: Row) -> Json:
        return {"username": row["mark"], "phc": row["settings"]["phc"]}


def _made(username: str, asked: Proof) -> Made:
    if asked.password_hash is not None:
        return Made(username, {"phc": asked.password_hash.get_secret_value()})
    given = None if asked.password is None else asked.password.get_secret_value()
    password = given or secrets.token_urlsafe(GENERATED_BYTES)
    if len(f"{username}:{password}".encode()) > CREDENTIAL_BYTES:
        raise Refused(400, f"a username and a password are at most {CREDENTIAL_BYTES} bytes together")
    with _ONE_AT_A_TIME:
        phc = _core.hash_password(password)
    return Made(username, {"phc": phc}, {} if given else {"password": password})
