"""Certificates and keys: of listeners, and toward endpoints."""

from __future__ import annotations

import re
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from stagedoor.policies.model import Strict, duration, wrong
from stagedoor.policies.unit import Duration

_NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?)*")


def _file(value: str) -> str:
    if "BEGIN " in value or "\n" in value:
        raise wrong("expected the path of a file in PEM", "a certificate or key itself does not stand here")
    if not value or "\0" in value:
        raise wrong("expected the path of a file in PEM")
    return value


def _server_name(value: str) -> str:
    if not _NAME.fullmatch(value) or len(value) > 253:
        raise wrong("expected a host name, for example inventory.internal")
    return value.lower()


PemFile = Annotated[str, Field(max_length=4096), AfterValidator(_file)]
"""Path of a file in PEM, relative to the configuration file's folder."""


class Certificate(Strict):
    """A certificate and its key."""

    chain: PemFile
    """The certificate, followed by those that vouch for it; without the root."""
    key: PemFile
    """Its private key, unencrypted: PKCS #8, PKCS #1 or SEC1."""


class ClientCertificates(Strict):
    """Whether clients show a certificate."""

    mode: Literal["none", "optional", "required"] = "none"
    """``none``: they are not asked; ``optional``: one that is shown must be good; ``required``: who shows none is
    turned away."""
    ca: PemFile | None = None
    """The certificates that vouch for clients'."""

    @model_validator(mode="after")
    def _authorities(self) -> Self:
        if self.mode != "none" and self.ca is None:
            raise wrong(f"mode '{self.mode}' needs a 'ca', whose certificates vouch for clients'")
        return self


class ListenerTls(Strict):
    """TLS with clients."""

    certificates: Annotated[list[Certificate], Field(min_length=1, max_length=10_000)]
    """Chosen by the name that a client asks for; the first is for the other clients."""
    min_version: Literal["1.2", "1.3"] = "1.2"
    """The least version of TLS that is spoken."""
    client: ClientCertificates = ClientCertificates()
    """Whether clients show a certificate."""
    handshake: Duration = duration("10s", least="100ms", most="5m")
    """How long a handshake may take; then the connection is closed."""


class ClusterTls(Strict):
    """TLS to the endpoints that are named ``https://``."""

    ca: PemFile | None = None
    """The certificates that vouch for endpoints. Left out: those that the system trusts."""
    server_name: Annotated[str, AfterValidator(_server_name)] | None = None
    """What endpoints' certificates must be for, and the name asked for (SNI). Left out: each endpoint's host."""
    cert: PemFile | None = None
    """The gateway's own certificate with its chain, for endpoints that ask for one."""
    key: PemFile | None = None
    """The key of ``cert``."""
    verify: bool = True
    """Off: any certificate will do, and whoever is in between reads and changes everything."""

    @model_validator(mode="after")
    def _whole(self) -> Self:
        if (self.cert is None) != (self.key is None):
            given, missing = ("key", "cert") if self.cert is None else ("cert", "key")
            raise wrong(f"'{given}' needs a '{missing}'")
        if not self.verify and self.ca is not None:
            raise wrong("'ca' verifies nothing with verify: false", "leave one of them out")
        return self
