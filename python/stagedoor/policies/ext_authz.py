"""A decision of a server that speaks Envoy's external authorization."""

from __future__ import annotations

import re
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, model_validator

from stagedoor.policies.model import HeaderName, Name, Strict, duration, size, wrong
from stagedoor.policies.unit import Duration, Size

Json = dict[str, Any]
_PREFIX = re.compile(r"(/[A-Za-z0-9_.~-]{1,100}){0,10}")


def _prefix(value: str) -> str:
    if not _PREFIX.fullmatch(value) or "/." in value:
        raise wrong("expected the beginning of a path without a '/' at its end, for example /check")
    return value


def _visible(value: list[str]) -> list[str]:
    if "*" in value and len(value) > 1:
        raise wrong("'*' stands for every header, so it stands alone")
    return value


Visible = Annotated[list[HeaderName], Field(max_length=100), AfterValidator(_visible)]
Text = Annotated[str, Field(max_length=1000)]


class ExtAuthzGrpc(Strict):
    """The service ``envoy.service.auth.v3.Authorization``."""

    context: Annotated[dict[Text, Text], Field(max_length=100)] = {}
    """``context_extensions``: what the server is to know of the route, told as it stands here."""


class ExtAuthzHttp(Strict):
    """The same as a plain request: with the method and path of the client's."""

    path_prefix: Annotated[str, AfterValidator(_prefix)] = ""
    """Stands before the path."""
    upstream_headers: Visible = []
    """Headers of an answer that lets the request pass which the target is to see. The client's own never get there,
    under any spelling, also where the answer has none. ``*``: all that it has."""
    response_headers: Visible = []
    """Headers of such an answer which are added to the response. ``*``: all."""
    client_headers: Visible = []
    """Headers of a refusal which its client is to see, besides ``Content-Type``, ``Location``, ``WWW-Authenticate`` and
    ``Retry-After``. ``*``: all."""


class ExtAuthzBody(Strict):
    """Content of the request that the decision sees."""

    max: Size = size("8KiB", least="1B", most="1MiB")
    """A larger one is 413."""
    partial: bool = False
    """Of a larger one its beginning is shown instead, and ``x-envoy-auth-partial-body: true`` says so."""
    raw: bool = False
    """As bytes (``raw_body``); else as text (``body``), and what is no UTF-8 is 400."""


class ExtAuthz(Strict):
    """A decision of a server that speaks Envoy's external authorization, over gRPC or over HTTP."""

    cluster: Name
    """The cluster of its servers."""
    grpc: ExtAuthzGrpc | None = None
    """Over gRPC: ``{}`` is enough. The cluster has ``protocol: h2c``, or ``h2`` over TLS."""
    http: ExtAuthzHttp | None = None
    """Over HTTP."""
    timeout: Duration = duration("1s", least="1ms", most="1m")
    """For a decision; the cluster's own ``timeouts.request`` counts where it is shorter."""
    headers: Visible = []
    """Request headers that the decision may see. ``*``: all. Those that ``authenticate`` knows as credentials have been
    taken away."""
    body: ExtAuthzBody | None = None
    """Left out: it does not see the content."""
    cache: Duration = duration("0s", least="0s", most="1h")
    """How long a decision on the same question holds; ``0s`` keeps none."""

    @model_validator(mode="after")
    def _one_protocol(self) -> Self:
        if (self.grpc is None) == (self.http is None):
            raise wrong("expected one of 'grpc' and 'http'")
        return self


def compile_ext_authz(policy: ExtAuthz) -> Json:
    """Its part of the snapshot."""
    protocol: Json = {}
    if policy.grpc is not None:
        protocol["grpc"] = {"context": dict(policy.grpc.context)}
    if policy.http is not None:
        http = policy.http
        protocol["http"] = {
            "path_prefix": http.path_prefix,
            "upstream_headers": list(http.upstream_headers),
            "response_headers": list(http.response_headers),
            "client_headers": list(http.client_headers),
        }
    body = policy.body
    return {
        "cluster": policy.cluster,
        "protocol": protocol,
        "timeout_ms": int(policy.timeout),
        "cache_ms": int(policy.cache),
        "headers": list(policy.headers),
        "body": None if body is None else {"max": int(body.max), "partial": body.partial, "raw": body.raw},
    }
