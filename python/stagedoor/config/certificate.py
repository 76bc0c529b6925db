"""What a client certificate says, by which it is known to be its consumer's."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, model_validator

from stagedoor.policies.model import Strict, wrong

Json = dict[str, Any]


def sha256_digits(value: str) -> str:
    digits = value.replace(":", "").lower()
    if not re.fullmatch(r"[0-9a-f]{64}", digits):
        raise wrong("expected a SHA-256 as 64 hex digits, with or without colons")
    return digits


def _spiffe(value: str) -> str:
    if not re.fullmatch(r"spiffe://[a-z0-9._-]{1,255}(/[A-Za-z0-9._-]+)+", value):
        raise wrong("expected a SPIFFE ID such as spiffe://prod.example/billing")
    return value


def _address(value: str) -> str:
    try:
        return str(ipaddress.ip_address(value))
    except ValueError:
        raise wrong("expected an IP address") from None


Text = Annotated[str, Field(min_length=1, max_length=1000)]


class ConsumerCertificate(Strict):
    """One thing that a certificate says: exactly one of these keys."""

    subject: Text | None = None
    """The whole subject, in the order of the certificate: ``CN=billing, O=Example``."""
    dns: Annotated[Text, AfterValidator(str.lower)] | None = None
    """A DNS name among the subject alternative names."""
    uri: Text | None = None
    """A URI among them, exactly."""
    email: Text | None = None
    """An address of mail among them, exactly."""
    ip: Annotated[str, AfterValidator(_address)] | None = None
    """An IP address among them."""
    spiffe: Annotated[str, AfterValidator(_spiffe)] | None = None
    """The only URI among them, a SPIFFE ID."""
    sha256: Annotated[str, AfterValidator(sha256_digits)] | None = None
    """SHA-256 of the certificate in DER, in hex."""

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if len(self.model_fields_set) != 1:
            raise wrong("expected exactly one of its keys; another one is another entry of the list")
        return self


def compile_certificate(certificate: ConsumerCertificate) -> Json:
    """Its part of the snapshot."""
    [field] = certificate.model_fields_set
    return {"field": field, "value": getattr(certificate, field)}
