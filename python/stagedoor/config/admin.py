"""The admin endpoint: where it is, and who may ask there."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, SecretStr, model_validator

from stagedoor.config.address import Bind, split_bind
from stagedoor.config.certificate import Text, sha256_digits
from stagedoor.config.node import Node, find
from stagedoor.config.problem import Located
from stagedoor.config.problem import Path as Place
from stagedoor.config.tls import PemFile
from stagedoor.policies.model import Name, Strict, wrong

Secret = Annotated[SecretStr, Field(min_length=16, max_length=512)]


class AdminToken(Strict):
    """A token of the admin endpoint."""

    token: Secret
    """The token."""
    role: Literal["read", "write"] = "read"
    """``read`` sees everything and changes nothing."""


class AdminTls(Strict):
    """TLS with the operators, who may show certificates of their own."""

    chain: PemFile
    """The endpoint's certificate, followed by those that vouch for it."""
    key: PemFile
    """Its private key, unencrypted."""
    ca: PemFile | None = None
    """The certificates that vouch for operators'. Left out: none is asked for."""


class AdminCertificate(Strict):
    """Whose certificate it is: exactly one of ``subject``, ``dns``, ``uri``, ``email`` and ``sha256``."""

    subject: Text | None = None
    """The whole subject, in the order of the certificate: ``CN=ann, O=Example``."""
    dns: Text | None = None
    """A DNS name among the subject alternative names."""
    uri: Text | None = None
    """A URI among them, exactly: a SPIFFE ID, for example."""
    email: Text | None = None
    """An address of mail among them, exactly."""
    sha256: Annotated[str, AfterValidator(sha256_digits)] | None = None
    """SHA-256 of the certificate in DER, in hex."""
    role: Literal["read", "write"] = "read"
    """``read`` sees everything and changes nothing."""

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if len(self.model_fields_set - {"role"}) != 1:
            raise wrong("expected exactly one of 'subject', 'dns', 'uri', 'email' and 'sha256'")
        return self

    @property
    def mark(self) -> tuple[str, str]:
        """What is looked for, and its value."""
        [(field, value)] = ((field, getattr(self, field)) for field in self.model_fields_set - {"role"})
        return field, value.lower() if field == "dns" else value


class Admin(Strict):
    """The admin endpoint: health, metrics, executions."""

    bind: Bind = "127.0.0.1:9901"
    """``IP:PORT``; an address beyond this machine needs a ``token``, or ``certificates``."""
    token: Secret | None = None
    """Clients send it as ``Authorization: Bearer TOKEN``; it may do everything, under the name ``admin``. Left out, and
    without ``tokens``: none is asked for."""
    tokens: Annotated[dict[Name, AdminToken], Field(max_length=100)] = {}
    """More tokens, by the name of who has it, which the audit log shows."""
    tls: AdminTls | None = None
    """TLS. Left out: not encrypted."""
    certificates: Annotated[dict[Name, AdminCertificate], Field(max_length=100)] = {}
    """Operators who show a certificate instead of a token, by their names, which the audit log shows."""

    @model_validator(mode="after")
    def _one_name_for_a_token(self) -> Self:
        secrets = [each.token.get_secret_value() for each in self.tokens.values()]
        secrets += [self.token.get_secret_value()] if self.token is not None else []
        if len(set(secrets)) != len(secrets):
            raise wrong("two of the tokens are the same, so nobody could tell who asks")
        return self

    @model_validator(mode="after")
    def _certificates_that_can_be_shown(self) -> Self:
        asked = self.tls is not None and self.tls.ca is not None
        if self.certificates and not asked:
            raise wrong("'certificates' needs 'tls' with a 'ca', whose certificates vouch for operators'")
        if asked and not self.certificates:
            raise wrong("'tls.ca' needs 'certificates': who shows one would not be known")
        if shared := self.tokens.keys() & self.certificates.keys() | ({"admin"} & self.certificates.keys()):
            raise wrong(f"'{min(shared)}' names a token and a certificate, so nobody could tell who asks")
        marks = [each.mark for each in self.certificates.values()]
        if len(set(marks)) != len(marks):
            raise wrong("two of the certificates are the same, so nobody could tell who asks")
        return self

    @model_validator(mode="after")
    def _token_beyond_this_machine(self) -> Self:
        known = self.token is not None or self.tokens or self.certificates
        if not known and not split_bind(self.bind)[0].is_loopback:
            raise wrong(
                "an admin address that is not loopback needs a 'token'",
                'bind to 127.0.0.1, or set token: "${env:ADMIN_TOKEN}"',
            )
        return self


def context(tls: AdminTls, folder: Path) -> ssl.SSLContext:
    """ValueError says which file cannot be used."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.set_alpn_protocols(["http/1.1"])
    for _, name, fault in faults(tls, folder, made):
        raise ValueError(f"admin: tls: {name}: {fault}")
    return made


def faults(tls: AdminTls, folder: Path, context: ssl.SSLContext) -> Iterator[tuple[str, str, str]]:
    """Loads the files into the context; each that cannot be used with its key, its name and what is wrong."""
    try:
        # An encrypted key would ask on the terminal.
        context.load_cert_chain(folder / tls.chain, folder / tls.key, password=lambda: "")
    except OSError as error:
        missing = next((key for key in ("chain", "key") if not (folder / getattr(tls, key)).is_file()), None)
        reason = "there is no such file" if missing else None if isinstance(error, ssl.SSLError) else error.strerror
        key = missing or "chain"
        yield key, getattr(tls, key), reason or "it is no certificate in PEM, or not that of the unencrypted key"
    if tls.ca is not None:
        try:
            context.load_verify_locations(folder / tls.ca)
            # Health is asked by those who have none; who else shows none, or no token, is turned away with 401.
            context.verify_mode = ssl.CERT_OPTIONAL
        except OSError as error:
            reason = error.strerror if not isinstance(error, ssl.SSLError) else None
            yield "ca", tls.ca, reason or "it holds no certificates in PEM"


def admin_files(root: Node, admin: Admin, folder: Path) -> Iterator[Located]:
    """Files of its TLS that cannot be used."""
    if admin.tls is None:
        return
    for key, name, fault in faults(admin.tls, folder, ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)):
        path: Place = ("admin", "tls", key)
        yield Located(find(root, path)[0], path, f"{name}: {fault}")
