"""Responses kept and used again."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

from stagedoor.policies.model import HeaderName, Strict, duration, size, wrong
from stagedoor.policies.unit import Duration, Size


class VaryByHeader(Strict):
    """A part of the key that is a header of the request."""

    header: HeaderName
    """It reaches the service, and responses are told apart by its value."""


class VaryByClaim(Strict):
    """A part of the key that is a claim of the caller's token or session."""

    claim: Annotated[str, Field(min_length=1, max_length=200)]
    """Its name; dots lead into objects."""


def _part(value: Any) -> str:
    if isinstance(value, str):
        return "<consumer>"
    return "<claim>" if isinstance(value, VaryByClaim) or (isinstance(value, dict) and "claim" in value) else "<header>"


KeyPart = Annotated[
    Annotated[Literal["consumer"], Tag("<consumer>")]
    | Annotated[VaryByHeader, Tag("<header>")]
    | Annotated[VaryByClaim, Tag("<claim>")],
    Discriminator(_part),
]


def _parameter(value: str) -> str:
    if not value or any(char in "&=#" for char in value):
        raise wrong("expected the name of a query parameter, as it stands in a URL")
    return value


def _query(value: Any) -> str:
    return "<names>" if isinstance(value, list) else "<rule>"


Query = Annotated[
    Annotated[Literal["all", "sorted"], Tag("<rule>")]
    | Annotated[list[Annotated[str, AfterValidator(_parameter)]], Field(max_length=100), Tag("<names>")],
    Discriminator(_query),
]


def _status(value: str) -> str:
    if not (value.isascii() and value.isdecimal() and len(value) == 3 and "200" <= value <= "599") or value == "206":
        raise wrong("expected a status from 200 to 599, other than 206, whose responses are not stored")
    return value


Status = Annotated[str, AfterValidator(_status)]


def _group(value: str) -> str:
    if not 0 < len(value) <= 128 or not all(0x20 <= ord(char) < 0x7F for char in value):
        raise wrong("a group's name is 1 to 128 characters of visible ASCII")
    return value


Groups = Annotated[list[Annotated[str, AfterValidator(_group)]], Field(max_length=32)]


class Cache(Strict):
    """Responses are kept and used again, by RFC 9111."""

    query: Query = "all"
    """What of the query tells responses apart: ``all`` as received, ``sorted`` by name, or the names of parameters;
    the service gets no others."""
    vary_by: Annotated[list[KeyPart], Field(max_length=16)] = []
    """What else does: ``consumer``, ``{header: NAME}``, ``{claim: NAME}``."""
    forward: Annotated[list[HeaderName], Field(max_length=100)] = []
    """Headers that reach the service although they are not in the key: no response may depend on them."""
    share_consumers: bool = False
    """One response for all consumers; the service is not told who asks. Otherwise requests of consumers go past the
    cache, unless ``vary_by`` has ``consumer``."""
    ttl: Annotated[dict[Status, Duration], Field(max_length=100)] = {}
    """Status → how long responses are fresh that do not say it themselves."""
    heuristic: bool = False
    """Whether that is guessed from ``Last-Modified``: a tenth of the time since, at most a day."""
    set_cookies: bool = False
    """Whether responses with ``Set-Cookie`` are stored that do not say ``public`` or ``s-maxage``."""
    object: Size = size("1MiB", least="1B", most="1GiB")
    """Content of one response; what is longer is passed on and not stored."""
    ranges: Literal["pass", "whole"] = "pass"
    """What becomes of a range that nothing stored answers: ``pass``, the service is asked for it, and the part is
    stored; ``whole``, it is asked for all."""
    variants: Annotated[int, Field(ge=1, le=256)] = 32
    """Responses of one key that differ by what ``Vary`` names; the newest are kept."""
    stale_while_revalidate: Duration = duration("0s", least="0s", most="31d")
    """How long a stale response serves while it is asked for again, where it does not say so itself."""
    stale_if_error: Duration = duration("0s", least="0s", most="31d")
    """How long it serves when the service fails, where it does not say so itself."""
    client_control: bool = True
    """Whether ``Cache-Control`` of requests counts."""
    groups: Groups = []
    """Every response of the route belongs to these."""
    invalidates: Groups = []
    """A successful POST, PUT, DELETE or the like invalidates these."""
    status: bool = True
    """Whether responses say what became of them, in ``Cache-Status``."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.share_consumers and "consumer" in self.vary_by:
            raise wrong("'share_consumers' and 'vary_by' with 'consumer' contradict each other")
        return self


def compile_cache(policy: Cache) -> dict[str, Any]:
    """Its part of the snapshot."""
    parts = [part if isinstance(part, str) else part.model_dump() for part in policy.vary_by]
    return {
        "query": {"names": list(policy.query)} if isinstance(policy.query, list) else policy.query,
        "vary_by": parts,
        "forward": list(policy.forward),
        "share_consumers": policy.share_consumers,
        "ttl_s": {status: int(ttl) // 1000 for status, ttl in policy.ttl.items()},
        "heuristic": policy.heuristic,
        "set_cookies": policy.set_cookies,
        "object_bytes": int(policy.object),
        "ranges": policy.ranges,
        "variants": policy.variants,
        "stale_while_revalidate_s": int(policy.stale_while_revalidate) // 1000,
        "stale_if_error_s": int(policy.stale_if_error) // 1000,
        "client_control": policy.client_control,
        "groups": list(policy.groups),
        "invalidates": list(policy.invalidates),
        "status": policy.status,
    }
