"""Files of certificates and keys that a configuration names. Others read them; here it is only noticed that
one has changed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from stagedoor.config.settings import Settings


def read_pem(settings: Settings, folder: Path) -> Mapping[Path, str]:
    """Every file, absolute, with the SHA-256 of what it holds; empty where it cannot be read."""
    return {path: _digest(path) for path in sorted({folder / name for name in _names(settings)})}


def _names(settings: Settings) -> Iterator[str]:
    for listener in settings.listeners.values():
        if listener.tls is not None:
            for certificate in listener.tls.certificates:
                yield from (certificate.chain, certificate.key)
            if listener.tls.client.ca is not None:
                yield listener.tls.client.ca
    if settings.admin.tls is not None:
        tls = settings.admin.tls
        yield from (name for name in (tls.chain, tls.key, tls.ca) if name is not None)
    for cluster in settings.clusters.values():
        yield from (name for name in (cluster.tls.ca, cluster.tls.cert, cluster.tls.key) if name is not None)


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""
