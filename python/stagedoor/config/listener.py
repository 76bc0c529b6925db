"""Where requests come in."""

from __future__ import annotations

import re
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from stagedoor.config.address import UNIX, ListenerBind, Network
from stagedoor.config.tls import ListenerTls
from stagedoor.policies.model import Strict, duration, size, wrong
from stagedoor.policies.unit import Duration, Size


def _mode(value: str) -> str:
    if not re.fullmatch("0?[0-7]{3}", value):
        raise wrong('expected permission bits as text, for example "0660"')
    return value


class ListenerLimits(Strict):
    """Bounds of what a client may send before a route is known."""

    head: Size = size("32KiB", least="1KiB", most="1MiB")
    """Request line and headers together; more is answered with 431."""
    uri: Size = size("8KiB", least="256B", most="64KiB")
    """The request target; more is answered with 414."""
    headers: Annotated[int, Field(ge=1, le=1000)] = 100
    """Number of header fields; more is answered with 431."""
    connections: Annotated[int, Field(ge=1, le=1_000_000)] = 10_000
    """Connections at once over all workers; one more is closed at once and counted."""
    head_read: Duration = duration("10s", least="100ms", most="10m")
    """From the first byte of a head to its end; longer is answered with 408."""
    idle: Duration = duration("75s", least="100ms", most="1d")
    """Between two requests of a connection; then it is closed."""
    body_idle: Duration = duration("30s", least="100ms", most="1h")
    """Between two reads of a request body; longer is answered with 408."""
    half_close: Duration = duration("30s", least="0s", most="1h")
    """How long an exchange may go on after its client has shut its sending side."""

    @model_validator(mode="after")
    def _uri_fits_into_head(self) -> Self:
        if self.uri > self.head:
            raise wrong(f"'uri' ({self.uri}) is larger than 'head' ({self.head}), of which it is a part")
        return self


class ProxyProtocol(Strict):
    """Balancers that begin each connection with the client's address, in version 1 or 2 of the PROXY protocol."""

    sources: Annotated[list[Network], Field(alias="from", min_length=1, max_length=1000)]
    """Their addresses and networks, ``unix`` for a Unix socket. Each connection from there must begin with the header,
    others never do."""


class Http2(Strict):
    """HTTP/2 for clients."""

    enabled: bool = True
    """Offered to clients over TLS, which choose by ALPN."""
    h2c: bool = False
    """Taken without TLS from clients that begin with it, on the same port as HTTP/1.1."""
    max_streams: Annotated[int, Field(ge=1, le=10_000)] = 128
    """Streams of one connection at once; a client that opens more is refused those."""


class Listener(Strict):
    """An address on which requests are accepted."""

    bind: ListenerBind
    """``IP:PORT``, where port 0 lets the system choose; or ``unix:/PATH``."""
    mode: Annotated[str, AfterValidator(_mode)] | None = None
    """Permission bits of a Unix socket's file. Left out: ``0660``."""
    trusted_proxies: Annotated[list[Network], Field(max_length=1000)] = []
    """Addresses and networks whose ``Forwarded`` and ``X-Forwarded-*`` headers are believed; ``unix`` for clients on a
    Unix socket."""
    proxy_protocol: ProxyProtocol | None = None
    """Who sends the client's address before each connection. Left out: nobody."""
    http1: bool = True
    """Whether HTTP/1.1 is spoken; a listener without it speaks HTTP/2 alone and closes what begins otherwise."""
    http2: Http2 = Http2()
    """HTTP/2 for clients."""
    tls: ListenerTls | None = None
    """TLS with clients. Left out: not encrypted."""
    limits: ListenerLimits = ListenerLimits()
    """Bounds of what a client may send before a route is known."""

    @model_validator(mode="after")
    def _mode_of_a_file(self) -> Self:
        if self.mode is not None and not self.bind.startswith(UNIX):
            raise wrong(
                "'mode' is for the file of a Unix socket, and 'bind' is an address",
                'leave it out, or write bind: "unix:/PATH"',
            )
        return self
