"""Named groups of servers, and how they are called."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

from stagedoor.config.address import EndpointUrl, is_secure
from stagedoor.config.cluster_credentials import Credentials
from stagedoor.config.tls import ClusterTls
from stagedoor.policies.model import Strict, duration, wrong
from stagedoor.policies.unit import Duration, Percent

_STATUSES = re.compile(r"([45][0-9][0-9])(?:-([45][0-9][0-9]))?")


class WeightedEndpoint(Strict):
    """An endpoint with its share of the calls."""

    url: EndpointUrl
    """``http://HOST:PORT``, ``https://HOST:PORT`` for TLS, or ``unix:/PATH``."""
    weight: Annotated[int, Field(ge=1, le=1000)] = 1
    """Its share, relative to the other endpoints'."""


def _shape(value: Any) -> str:
    return "<url>" if isinstance(value, str) else "<weighted>"


Endpoint = Annotated[
    Annotated[EndpointUrl, Tag("<url>")] | Annotated[WeightedEndpoint, Tag("<weighted>")], Discriminator(_shape)
]


class Timeouts(Strict):
    """How long a call may take."""

    connect: Duration = duration("1s", least="1ms", most="1m")
    """Until a connection stands."""
    request: Duration = duration("30s", least="1ms", most="1d")
    """The whole call, every retry included; longer is answered with 504."""


def _retry_on(value: str | int) -> str:
    text = str(value)
    match = _STATUSES.fullmatch(text)
    if text == "connect_failure" or (match and int(match[1]) <= int(match[2] or match[1])):
        return text
    raise wrong("expected connect_failure, a status such as 503, or a range such as 502-504, within 400–599")


RetryOn = Annotated[str | int, AfterValidator(_retry_on)]


class Retry(Strict):
    """When a call is tried again, on another endpoint where there is one."""

    attempts: Annotated[int, Field(ge=0, le=10)] = 1
    """Further attempts after the first; 0 is none."""
    on: Annotated[list[RetryOn], Field(max_length=50)] = ["connect_failure"]
    """``connect_failure``, statuses (``503``) and ranges of them (``502-504``). Statuses count only for idempotent
    methods."""
    budget: Percent = Field(default=Percent.parse("20%"), le=100, json_schema_extra={"x-least": "0%", "x-most": "100%"})
    """Retries at most as a share of the calls of the last ten seconds; three a second are always allowed."""


class Ejection(Strict):
    """When an endpoint that keeps failing is left out."""

    failures: Annotated[int, Field(ge=0, le=1000)] = 5
    """Failures in a row (connect failures, resets, timeouts, 502–504) after which an endpoint is left out; 0 is
    never."""
    base: Duration = duration("10s", least="10ms", most="1h")
    """The first time out; doubled at each further ejection. The first request after it is the probe."""
    max: Duration = duration("5m", least="10ms", most="1d")
    """The longest time out."""
    keep: Annotated[int, Field(ge=0, le=1000)] = 1
    """So many endpoints are never left out, however they fail. 0: where all of them fail, clients are answered 503 at
    once."""


class Pool(Strict):
    """Connections that are kept and shared."""

    idle: Annotated[int, Field(ge=0, le=10_000)] = 128
    """Idle connections kept by each worker for each endpoint."""
    idle_timeout: Duration = duration("30s", least="1ms", most="1h")
    """After this an idle connection is closed. Choose less than the endpoints' own keep-alive time."""
    connections: Annotated[int, Field(ge=1, le=100_000)] = 1024
    """Connections of each worker to each endpoint; requests above it wait within their deadline."""


class Cluster(Strict):
    """A named group of servers that answer alike."""

    endpoints: Annotated[list[Endpoint], Field(min_length=1, max_length=1000)]
    """``http://HOST:PORT``, ``https://HOST:PORT`` for TLS, ``unix:/PATH``, or ``{url: …, weight: …}``."""
    protocol: Literal["http1", "h2", "h2c", "auto"] = "http1"
    """What is spoken to the endpoints: HTTP/1.1, HTTP/2 over TLS (``h2``), HTTP/2 without encryption and without asking
    first (``h2c``), or over TLS whichever of HTTP/2 and HTTP/1.1 the endpoint chooses (``auto``). gRPC needs HTTP/2."""
    proxy_protocol: Literal["v1", "v2"] | None = None
    """The version of the PROXY header in which a connection tells the client's address first. Only with ``http1``."""
    tls: ClusterTls = ClusterTls()
    """For endpoints named ``https://``: whose certificates are believed, and what the gateway shows."""
    credentials: Credentials | None = None
    """By what the gateway proves itself to them, whoever the request is for."""
    balance: Literal["round_robin", "least_request", "random"] = "round_robin"
    """Which endpoint is next: in turn by weight, the one with the fewest open requests, or any by weight."""
    timeouts: Timeouts = Timeouts()
    """How long a call may take."""
    retry: Retry = Retry()
    """When a call is tried again."""
    ejection: Ejection = Ejection()
    """When an endpoint that keeps failing is left out."""
    pool: Pool = Pool()
    """Connections that are kept and shared."""

    @model_validator(mode="after")
    def _one_client_for_a_header(self) -> Self:
        if self.proxy_protocol is not None and self.protocol != "http1":
            raise wrong(
                "'proxy_protocol' names one client for a connection, and over HTTP/2 clients share it",
                "write protocol: http1",
            )
        return self

    @model_validator(mode="after")
    def _tls_fits(self) -> Self:
        secure = [is_secure(endpoint(each).url) for each in self.endpoints]
        encrypted = any(secure)
        if self.tls != ClusterTls() and not encrypted:
            raise wrong("'tls' is for endpoints that are named https://", "write https://HOST:PORT")
        if self.protocol == "h2c" and encrypted:
            raise wrong("protocol 'h2c' is not encrypted; over TLS it is 'h2'")
        if self.protocol in ("h2", "auto") and not all(secure):
            raise wrong(f"protocol '{self.protocol}' is chosen over TLS; every endpoint must be https://HOST:PORT")
        return self


def endpoint(value: str | WeightedEndpoint) -> WeightedEndpoint:
    return WeightedEndpoint(url=value) if isinstance(value, str) else value


def compile_retry(retry: Retry) -> dict[str, Any]:
    """Its part of the snapshot."""
    statuses: set[int] = set()
    for cause in map(str, retry.on):
        if cause != "connect_failure":
            first, _, last = cause.partition("-")
            statuses.update(range(int(first), int(last or first) + 1))
    return {
        "attempts": retry.attempts,
        "connect_failure": "connect_failure" in retry.on,
        "statuses": sorted(statuses),
        "budget_percent": int(retry.budget),
    }
