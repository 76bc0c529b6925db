"""A NATS broker that events of workflows go to, and come from."""

from __future__ import annotations

import re
from importlib.util import find_spec
from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, model_validator

from stagedoor.config.address import is_host
from stagedoor.config.nats_credentials import is_seed
from stagedoor.policies.model import Strict, wrong

_SUBJECT = re.compile(r"[^\s.*>{}\x00-\x1f]+(\.[^\s.*>{}\x00-\x1f]+)*")
_FILTER = re.compile(r"([^\s.*>\x00-\x1f]+|\*)(\.([^\s.*>\x00-\x1f]+|\*))*(\.>)?|>")
_NAME = re.compile(r"[A-Za-z0-9_-]{1,200}")
TYPE = "{type}"


def _server(value: str) -> str:
    try:
        parts = urlsplit(value)
        sound = parts.scheme in ("nats", "tls") and parts.port != 0 and not parts.path.strip("/")
    except ValueError:
        sound = False
    if not sound or parts.query or parts.fragment or not is_host((parts.hostname or "").strip("[]")):
        raise wrong("expected nats://HOST:PORT or tls://HOST:PORT, for example nats://127.0.0.1:4222")
    if "@" in parts.netloc:
        raise wrong("a server's URL holds no credentials", "give user and password, token, nkey or creds")
    return value


def _subject(value: str) -> str:
    if not _SUBJECT.fullmatch(value.replace(TYPE, "x")):
        raise wrong("expected a subject, for example shop.events, or shop.{type} with the event's type in it")
    return value


def _filter(value: str) -> str:
    if not _FILTER.fullmatch(value):
        raise wrong("expected a subject, where * stands for one part and a last > for all that follow")
    return value


def _name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise wrong("expected a name of letters, digits, - and _")
    return value


NatsName = Annotated[str, AfterValidator(_name)]


class Consume(Strict):
    """What comes from a stream of JetStream, with a durable consumer."""

    stream: NatsName
    """Its name; the stream is there already."""
    durable: NatsName = "stagedoor"
    """The consumer's name, by which the stream knows what was acknowledged. It is made where it is not there."""
    subjects: Annotated[list[Annotated[str, Field(max_length=500), AfterValidator(_filter)]], Field(max_length=1)] = []
    """The subject of those that are wanted. Left out: all of the stream. Of a consumer that is there already, its own
    counts."""


class Nats(Strict):
    """A NATS broker, with ``publish``, ``consume`` or both. Needs the package ``nats-py``: ``stagedoor[nats]``."""

    servers: Annotated[
        list[Annotated[str, Field(max_length=1000), AfterValidator(_server)]], Field(min_length=1, max_length=20)
    ]
    """``nats://HOST:PORT`` or ``tls://HOST:PORT`` of one cluster of servers; the first that answers is used."""
    user: Annotated[str, Field(min_length=1, max_length=500)] | None = None
    """A user's name, with ``password``."""
    password: SecretStr | None = None
    """The user's password."""
    token: SecretStr | None = None
    """In place of a user."""
    nkey: SecretStr | None = None
    """The seed of a user's nkey, ``SU…``, in place of a user. Needs the package ``nkeys``."""
    creds: Annotated[str, Field(min_length=1, max_length=1000)] | None = None
    """A file with a user's JWT and its seed, beside the configuration file, in place of a user. It is read for each
    connection. Needs the package ``nkeys``."""
    ca: Annotated[str, Field(min_length=1, max_length=1000)] | None = None
    """A file of certificates that the servers' are verified with, beside the configuration file. Left out: those that
    the system trusts."""
    publish: Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_subject)] | None = None
    """The subject to which what workflows emit is sent; ``{type}`` stands for the event's type."""
    jetstream: bool = True
    """Whether a stream must have stored an event before it counts as delivered. Otherwise the server's word is enough
    that it came: who does not listen then misses it."""
    consume: Consume | None = None
    """The stream whose events come to workflows."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if (self.user is None) is not (self.password is None):
            raise wrong("'user' and 'password' go together")
        ways = [name for name in ("user", "token", "nkey", "creds") if getattr(self, name) is not None]
        if len(ways) > 1:
            raise wrong(f"'{ways[0]}' and '{ways[1]}' do not go together")
        if self.nkey is not None and not is_seed(self.nkey.get_secret_value()):
            raise wrong("'nkey' is no seed of a user, which begins with SU and has 58 characters")
        if self.publish is None and self.consume is None:
            raise wrong("neither 'publish' nor 'consume' is given: it would do nothing")
        if find_spec("nats") is None:
            raise wrong("the package nats-py is not installed", "install stagedoor[nats]")
        if (self.nkey is not None or self.creds is not None) and find_spec("nkeys") is None:
            raise wrong("the package nkeys is not installed", "install stagedoor[nats]")
        return self
