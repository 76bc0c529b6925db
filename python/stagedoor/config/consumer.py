"""Who calls."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Any

from pydantic import AfterValidator, Discriminator, Field, SecretStr, Tag

from stagedoor.config.certificate import ConsumerCertificate
from stagedoor.config.signature_key import SignatureKey
from stagedoor.config.time import Time
from stagedoor.policies.model import Name, Scope, Strict, wrong

_KEY = re.compile(r"[!-~]{8,256}")


def _key(value: SecretStr) -> SecretStr:
    if not _KEY.fullmatch(value.get_secret_value()):
        raise wrong("an API key is 8 to 256 characters of visible ASCII without spaces")
    return value


def _network(value: str) -> str:
    try:
        ipaddress.ip_network(value, strict=False)
    except ValueError:
        raise wrong("expected an address or a network such as 10.0.0.0/8") from None
    return value


def _username(value: str) -> str:
    if not 1 <= len(value) <= 256 or ":" in value or not value.isprintable():
        raise wrong("a username is 1 to 256 characters without colons and control characters")
    return value


Username = Annotated[str, AfterValidator(_username)]
Key = Annotated[SecretStr, AfterValidator(_key)]
Network = Annotated[str, AfterValidator(_network)]
"""An address or a network (CIDR)."""


class ApiKeyEntry(Strict):
    """A key that is good for less than its consumer is. Each restriction that is left out does not restrict."""

    key: Key
    """The key."""
    id: Name | None = None
    """What the key is called in logs and in ``X-Consumer-Credential``. Left out: the consumer's name, ``/``, and the
    position in the list."""
    scopes: Annotated[list[Scope], Field(max_length=100)] | None = None
    """Of the consumer's scopes those that the key has. Left out: all."""
    expires: Time | None = None
    """From then on the key is not valid (RFC 3339)."""
    routes: Annotated[list[Name], Field(max_length=1000)] | None = None
    """The only routes on which the key is good."""
    networks: Annotated[list[Network], Field(max_length=1000)] | None = None
    """The only addresses and networks (CIDR) from which the key is good."""


class User(Strict):
    """A name and a password."""

    username: Username | None = None
    """The name, which is the user's alone. Left out: the consumer's."""
    password_hash: SecretStr
    """The password's hash of argon2id (``$argon2id$…``) or bcrypt (``$2b$…``)."""
    id: Name | None = None
    """What the credential is called in logs and in ``X-Consumer-Credential``. Left out: the consumer's name,
    ``/basic/``, and the position in the list."""


def _shape(value: Any) -> str:
    return "<settings>" if isinstance(value, dict | ApiKeyEntry) else "<key>"


AnyKey = Annotated[Annotated[Key, Tag("<key>")] | Annotated[ApiKeyEntry, Tag("<settings>")], Discriminator(_shape)]


class Consumer(Strict):
    """A caller that is known by its credentials."""

    api_keys: Annotated[list[AnyKey], Field(max_length=100)] = []
    """Keys, of which any is enough, so that they can be rotated: each the key itself, or a map with the key and what it
    is good for. Only their SHA-256 leaves this process's configuration. Give them as ``${env:NAME}`` or
    ``${file:path}``."""
    basic: Annotated[list[User], Field(max_length=100)] = []
    """Names and passwords, of which any is enough."""
    certificates: Annotated[list[ConsumerCertificate], Field(max_length=100)] = []
    """What its client certificates say, of which any is enough; each is the consumer's alone."""
    signature_keys: Annotated[list[SignatureKey], Field(max_length=100)] = []
    """Keys by which it signs its requests, of which any is enough."""
    groups: Annotated[list[Name], Field(max_length=100)] = []
    """Groups to which the consumer belongs; expressions see them."""
    scopes: Annotated[list[Scope], Field(max_length=100)] = []
    """Scopes that the consumer has."""
    plan: Name | None = None
    """What the consumer may use: one of ``plans``."""
    versions: Annotated[dict[Name, Name], Field(max_length=100)] = {}
    """API → the version that the consumer is pinned to: it stands in for the default."""


def key(entry: SecretStr | ApiKeyEntry) -> ApiKeyEntry:
    """A key alone is one without restrictions."""
    return entry if isinstance(entry, ApiKeyEntry) else ApiKeyEntry(key=entry)
