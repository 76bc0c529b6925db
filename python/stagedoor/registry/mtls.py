"""What client certificates say, for the scheme ``mtls``: nothing of it is secret."""

from __future__ import annotations

from typing import Any

from stagedoor.config.certificate import ConsumerCertificate, compile_certificate
from stagedoor.registry.credential import Made
from stagedoor.registry.model import Rights, Rotation
from stagedoor.registry.store import Row

Json = Any


class NewCertificate(Rights):
    certificate: ConsumerCertificate


class CertificateRotation(Rotation):
    certificate: ConsumerCertificate


class Mtls:
    name, part = "mtls", "certificates"
    new: type[Rights] = NewCertificate
    again: type[Rotation] = CertificateRotation
    most = 1

    def make(self, consumer: str, asked: NewCertificate) -> Made:
        return _made(asked.certificate)

    def remake(self, old: Row, asked: CertificateRotation) -> Made:
        return _made(asked.certificate)

    def shown(self, row: Row) -> Json:
        return {"certificate": {row["settings"]["field"]: row["settings"]["value"]}}

    def compile(self, row: Row) -> Json:
        return row["settings"]


def mark(certificate: ConsumerCertificate) -> str:
    parts = compile_certificate(certificate)
    return f"{parts['field']}:{parts['value']}"


def _made(certificate: ConsumerCertificate) -> Made:
    return Made(mark(certificate), compile_certificate(certificate))
