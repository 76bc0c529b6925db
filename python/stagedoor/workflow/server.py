"""Servers: what of a URL names one, and which are called elsewhere than their URLs say."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import SplitResult, urlsplit

PORTS = {"http": 80, "https": 443}
"""Of URLs that name none."""
PREFIX = "cluster://"


def origin(parts: SplitResult) -> str | None:
    """``scheme://HOST:PORT`` of an http(s) URL; None for others. ``ValueError``: it has no such port."""
    port = parts.port
    if parts.scheme not in PORTS or not parts.hostname:
        return None
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{parts.scheme}://{host}:{PORTS[parts.scheme] if port is None else port}"


class Servers:
    """URLs of servers → ``cluster://NAME/path`` in their place. Of two that fit, the longer one counts."""

    def __init__(self, led: Mapping[str, str] | None = None) -> None:
        """What is no http(s) URL among the keys leads nothing. ``ValueError``: one has no such port."""
        self._by_origin: dict[str, list[tuple[str, str]]] = {}
        for url, place in (led or {}).items():
            parts = urlsplit(url)
            found = origin(parts)
            if found is not None:
                self._by_origin.setdefault(found, []).append((parts.path.rstrip("/"), place.rstrip("/")))
        for entries in self._by_origin.values():
            entries.sort(key=lambda entry: -len(entry[0]))

    def lead(self, url: str) -> str | None:
        """``cluster://NAME/path`` of a URL, its query kept; None where it is led nowhere. ``ValueError``: it is no
        URL."""
        if not self._by_origin or url.startswith(PREFIX):
            return None
        parts = urlsplit(url)
        for path, place in self._by_origin.get(origin(parts) or "", ()):
            rest = parts.path.removeprefix(path)
            if parts.path.startswith(path) and rest[:1] in ("", "/"):
                query = f"?{parts.query}" if parts.query else ""
                return f"{place if '/' in place.removeprefix(PREFIX) or rest else f'{place}/'}{rest}{query}"
        return None

    def lead_written(self, endpoint: str) -> str | None:
        """The same as far as an endpoint is written out: before its first variable or expression."""
        written = endpoint.partition("?")[0]
        known, variable, _ = written.partition("{")
        if variable:
            # A segment that is not whole may become another one.
            known = known[: known.rfind("/") + 1]
        try:
            return self.lead(known)
        except ValueError:
            return None
