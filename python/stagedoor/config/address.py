"""Addresses as users write them."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator

from stagedoor.policies.model import wrong

_LABEL = r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_HOST = re.compile(rf"{_LABEL}(\.{_LABEL})*\.?")
UNIX = "unix:"
UNIX_BYTES = 107
"""Of a socket's path, as the kernel bounds it."""
PORTS = {"http": 80, "https": 443}
"""Of URLs that name none."""
_PORT = re.compile(r"[0-9]{1,5}")


def split_bind(value: str) -> tuple[ipaddress.IPv4Address | ipaddress.IPv6Address, int]:
    """``IP:PORT`` → both; ValueError otherwise."""
    host, _, port = value.rpartition(":")
    if not _PORT.fullmatch(port) or int(port) > 65535:
        raise ValueError
    if host.startswith("[") and host.endswith("]"):
        return ipaddress.IPv6Address(host[1:-1]), int(port)
    return ipaddress.IPv4Address(host), int(port)


def _bind(value: str) -> str:
    try:
        split_bind(value)
    except ValueError:
        hint = None
        if value.startswith("localhost:"):
            hint = f"did you mean '127.0.0.1:{value[10:]}'?"
        elif re.fullmatch(r":?[0-9]{1,5}", value):
            hint = f"for every address write '0.0.0.0:{value.lstrip(':')}'"
        raise wrong("expected IP:PORT, for example 127.0.0.1:8080 or [::1]:8080", hint) from None
    return value


def _unix(path: str) -> None:
    if not path.startswith("/"):
        raise wrong("a Unix socket is given by its absolute path, for example unix:/run/stagedoor.sock")
    if len(path.encode()) > UNIX_BYTES or "\0" in path:
        raise wrong(f"the path of a Unix socket has at most {UNIX_BYTES} bytes")


def _listener_bind(value: str) -> str:
    if not value.startswith(UNIX):
        return _bind(value)
    _unix(value.removeprefix(UNIX))
    return value


def _network(value: str) -> str:
    if value == "unix":
        return value
    try:
        return str(ipaddress.ip_network(value))
    except ValueError:
        try:
            near = ipaddress.ip_network(value, strict=False)
        except ValueError:
            raise wrong("expected an address or a network, for example 10.0.0.0/8 or 192.0.2.1") from None
        raise wrong("the address has bits beyond its prefix", f"did you mean '{near}'?") from None


def _endpoint_url(value: str) -> str:
    if not value.startswith(UNIX):
        return _url(value)
    _unix(value.removeprefix(UNIX))
    return value


def _url(value: str) -> str:
    example = "expected http://HOST:PORT or https://HOST:PORT, for example http://127.0.0.1:9101"
    scheme, separator, rest = value.partition("://")
    if not separator:
        raise wrong(example, f"did you mean 'http://{value}'?" if _HOST.match(value) else None)
    scheme = scheme.lower()
    if scheme not in PORTS:
        raise wrong(f"the scheme is not supported; {example}")
    if "@" in rest:
        raise wrong("an endpoint's URL holds no user name or password")
    try:
        parts = urlsplit(value)
        port = parts.port
    except ValueError:
        raise wrong(example) from None
    if parts.path not in ("", "/") or "?" in value or "#" in value:
        raise wrong("an endpoint is http://HOST:PORT without a path", "give the path in the route's target")
    host = parts.hostname or ""
    if ":" in host:
        try:
            host = f"[{ipaddress.IPv6Address(host)}]"
        except ValueError:
            raise wrong(example) from None
    elif not is_host(host):
        raise wrong(example)
    if port == 0:
        raise wrong("port 0 cannot be called")
    return f"{scheme}://{host.lower()}:{PORTS[scheme] if port is None else port}"


def is_host(name: str) -> bool:
    """Whether it is a name that can be called, or an IPv4 address."""
    return _HOST.fullmatch(name) is not None and len(name) <= 253


Bind = Annotated[str, AfterValidator(_bind)]
"""``IP:PORT``; port 0 lets the system choose."""
ListenerBind = Annotated[str, AfterValidator(_listener_bind)]
"""``IP:PORT``, or ``unix:/PATH``."""
Network = Annotated[str, AfterValidator(_network)]
"""An address or a network as CIDR; ``unix`` for whoever connects to a Unix socket."""
HttpUrl = Annotated[str, AfterValidator(_url)]
"""``http://HOST:PORT`` or ``https://HOST:PORT``; kept in lower case and with its port (80 or 443 where none is
written)."""
EndpointUrl = Annotated[str, AfterValidator(_endpoint_url)]
"""An ``HttpUrl``, or ``unix:/PATH``."""


def authority(url: str) -> str:
    """``host:port`` of an ``EndpointUrl``; ``unix:/PATH`` as it is."""
    return url if url.startswith(UNIX) else url.partition("://")[2]


def is_secure(url: str) -> bool:
    """Whether an ``EndpointUrl`` asks for TLS."""
    return url.startswith("https://")
