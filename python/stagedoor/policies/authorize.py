"""What a caller may do."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag

from stagedoor.policies.ext_authz import ExtAuthz, compile_ext_authz
from stagedoor.policies.model import HeaderName, Name, Scope, Strict, duration, wrong
from stagedoor.policies.unit import Duration

Json = dict[str, Any]
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_CLOCK = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]|24:00")
_DECISION = re.compile(r"/v1/data/[A-Za-z0-9_./-]{1,500}")


def _clock(value: str) -> str:
    if not _CLOCK.fullmatch(value):
        raise wrong("expected a time of day from 00:00 to 24:00, for example 08:30")
    return value


def _decision(value: str) -> str:
    if not _DECISION.fullmatch(value):
        raise wrong("expected /v1/data/ and the path of a decision, for example /v1/data/http/authz/allow")
    return value


Clock = Annotated[str, AfterValidator(_clock)]


class Window(Strict):
    """A time of the week."""

    days: Annotated[list[Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]], Field(max_length=7)] = []
    """The days on which it begins. Left out: every day."""
    start: Annotated[Clock, Field(alias="from")] = "00:00"
    """When it begins."""
    end: Annotated[Clock, Field(alias="to")] = "24:00"
    """When it ends, not included; earlier than ``from`` is the next day."""
    zone: str = "UTC"
    """A name of the IANA time zone database, for example ``Europe/Berlin``."""


class AnyScope(Strict):
    """At least one of several scopes."""

    any: Annotated[list[Scope], Field(min_length=1, max_length=100)]
    """Scopes of which one is enough."""


def _scopes_shape(value: Any) -> str:
    return "<any>" if isinstance(value, dict) else "<all>"


Scopes = Annotated[
    Annotated[Annotated[list[Scope], Field(max_length=100)], Tag("<all>")] | Annotated[AnyScope, Tag("<any>")],
    Discriminator(_scopes_shape),
]


class Conditions(Strict):
    """What must hold, all of it; what is left out is not asked for."""

    scopes: Scopes = []
    """Scopes of the caller's credential: every one of a list, or ``{any: […]}``."""
    groups: Annotated[list[Name], Field(max_length=100)] = []
    """The caller belongs to one of these."""
    consumers: Annotated[list[str], Field(max_length=1000)] = []
    """The caller is one of these."""
    plans: Annotated[list[Name], Field(max_length=100)] = []
    """The caller has one of these."""
    networks: Annotated[list[str], Field(max_length=1000)] = []
    """Addresses and networks (CIDR) of clients, by the word of trusted proxies only; an IPv4 address is the same within
    IPv6."""
    time: Annotated[list[Window], Field(max_length=32)] = []
    """It is one of these times."""
    cel: str | None = None
    """An expression of the Common Expression Language that is true."""


class Opa(Strict):
    """A decision of Open Policy Agent."""

    cluster: Name
    """The cluster of its servers."""
    path: Annotated[str, AfterValidator(_decision)]
    """``/v1/data/`` and the path of the decision, which is true or false, or an object with ``allow``."""
    timeout: Duration = duration("1s", least="1ms", most="1m")
    """For a decision; the cluster's own ``timeouts.request`` counts where it is shorter."""
    headers: Annotated[list[HeaderName], Field(max_length=100)] = []
    """Request headers that the decision may see. Those that carry credentials have been taken away."""
    cache: Duration = duration("0s", least="0s", most="1h")
    """How long a decision on the same input holds; ``0s`` keeps none."""


class Authorize(Conditions):
    """Only requests of which this holds pass; others are answered with 403, or 401 where nobody has said who calls."""

    any: Annotated[list[Conditions], Field(max_length=32)] = []
    """Where there are some, at least one of them must hold too."""
    none: Annotated[list[Conditions], Field(max_length=32)] = []
    """None of them may hold."""
    opa: Opa | None = None
    """Asked when everything else holds."""
    ext_authz: ExtAuthz | None = None
    """Asked last."""


def compile_authorize(policy: Authorize) -> Json:
    """Its part of the snapshot."""
    return {
        "must": _conditions(policy),
        "any": [_conditions(each) for each in policy.any],
        "none": [_conditions(each) for each in policy.none],
        "opa": None if policy.opa is None else _opa(policy.opa),
        **({} if policy.ext_authz is None else {"ext_authz": compile_ext_authz(policy.ext_authz)}),
    }


def _conditions(conditions: Conditions) -> Json:
    scopes = conditions.scopes
    parts: Json = {
        "scopes": [] if isinstance(scopes, AnyScope) else list(scopes),
        "any_scope": list(scopes.any) if isinstance(scopes, AnyScope) else [],
        "groups": list(conditions.groups),
        "consumers": list(conditions.consumers),
        "plans": list(conditions.plans),
        "networks": list(conditions.networks),
        "time": [_window(window) for window in conditions.time],
        "cel": conditions.cel,
    }
    return {name: part for name, part in parts.items() if part not in ([], None)}


def _window(window: Window) -> Json:
    def minutes(clock: str) -> int:
        return int(clock[:2]) * 60 + int(clock[3:])

    return {
        "days": [DAYS.index(day) + 1 for day in window.days],
        "from": minutes(window.start),
        "to": minutes(window.end),
        "zone": window.zone,
    }


def _opa(opa: Opa) -> Json:
    return {
        "cluster": opa.cluster,
        "path": opa.path,
        "timeout_ms": int(opa.timeout),
        "headers": list(opa.headers),
        "cache_ms": int(opa.cache),
    }
