"""HTTP message signatures (RFC 9421)."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from stagedoor.policies.model import Strict, duration, size, wrong
from stagedoor.policies.unit import Duration, Size

Json = dict[str, Any]
DERIVED = ("@method", "@target-uri", "@authority", "@scheme", "@request-target", "@path", "@query")


def _component(value: str) -> str:
    if value not in DERIVED and not re.fullmatch(r"[a-z0-9!#$%&'*+.^_`|~-]{1,100}", value):
        raise wrong(f"expected the name of a header in lower case, or one of {', '.join(DERIVED)}")
    return value


class Signature(Strict):
    """A request that a consumer has signed with one of its ``signature_keys``."""

    components: Annotated[list[Annotated[str, AfterValidator(_component)]], Field(max_length=32)] = [
        "@method",
        "@target-uri",
        "content-digest",
    ]
    """What a signature must cover, at least. Digests are only asked for where there is content."""
    max_age: Duration = duration("5m", least="1s", most="1h")
    """How old a signature may be, by its ``created``."""
    skew: Duration = duration("30s", least="0s", most="10m")
    """How far the client's clock and ours may differ."""
    nonce: bool = True
    """Whether there must be a nonce. A signature with one is taken once; without, it can be repeated until it is too
    old."""
    tag: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    """Only signatures with this ``tag`` are looked at."""
    max_size: Size = size("1MiB", least="1B", most="64MiB")
    """The longest body of which a digest is verified, for which it is read into memory; a longer one is 413."""


def compile_signature(settings: Signature) -> Json:
    """Its part of the snapshot."""
    return {
        "components": list(settings.components),
        "max_age_s": int(settings.max_age) // 1000,
        "skew_s": int(settings.skew) // 1000,
        "nonce": settings.nonce,
        "tag": settings.tag,
        "max_bytes": int(settings.max_size),
    }
