"""Who an operator is by the certificate that it has shown, which the handshake has verified."""

from __future__ import annotations

import hashlib
import re
import ssl
from collections.abc import Iterator
from typing import Any

_SHORT = {
    "commonName": "CN",
    "countryName": "C",
    "domainComponent": "DC",
    "localityName": "L",
    "organizationName": "O",
    "organizationalUnitName": "OU",
    "stateOrProvinceName": "ST",
}
_KINDS = {"DNS": "dns", "URI": "uri", "email": "email"}


def marks(connection: ssl.SSLObject | ssl.SSLSocket | None) -> Iterator[tuple[str, str]]:
    """What its certificate says: ``subject``, ``dns``, ``uri``, ``email`` and ``sha256``, each with a value."""
    shown = connection.getpeercert() if connection is not None else None
    if connection is None or not shown:
        return
    yield "sha256", hashlib.sha256(connection.getpeercert(binary_form=True) or b"").hexdigest()
    names: Any = shown.get("subject", ())
    yield "subject", ", ".join("+".join(_attribute(*each) for each in relative) for relative in names)
    alternatives: Any = shown.get("subjectAltName", ())
    for kind, value in alternatives:
        if kind in _KINDS:
            yield _KINDS[kind], value.lower() if kind == "DNS" else value


def _attribute(name: str, value: str) -> str:
    """RFC 4514: without the escapes one value could look like several attributes."""
    escaped = re.sub(r"""([,+"\\<>;=])""", r"\\\1", value)
    return f"{_SHORT.get(name, name)}={escaped}"
