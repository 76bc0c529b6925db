"""The client certificate that the listener has verified."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from stagedoor.policies.model import Strict

Json = dict[str, Any]
CertificateField = Literal["subject", "dns", "uri", "email", "ip", "spiffe", "sha256"]


class Mtls(Strict):
    """A client certificate that is one of a consumer's ``certificates``. A listener with ``tls.client`` verifies it."""

    by: Annotated[list[CertificateField], Field(min_length=1, max_length=7)] = ["spiffe", "uri", "dns", "sha256"]
    """What of the certificate is looked for among those of the consumers."""
    forward: Literal["certificate", "chain"] | None = None
    """Tells the target of the certificate: ``Client-Cert``, and with ``chain`` also ``Client-Cert-Chain`` (RFC 9440).
    A client's own fields of these names are removed in any case."""


def compile_mtls(settings: Mtls) -> Json:
    """Its part of the snapshot."""
    return {"by": list(settings.by), "forward": settings.forward}
