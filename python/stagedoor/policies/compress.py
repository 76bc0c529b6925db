"""Responses compressed for clients that accept it."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from stagedoor.policies.model import Strict, size, wrong
from stagedoor.policies.unit import Size

Algorithm = Literal["zstd", "br", "gzip"]

_TOKEN = r"[a-z0-9!#$&^_.+-]+"
_TYPE = re.compile(rf"{_TOKEN}/({_TOKEN}|\*|\*\+{_TOKEN})")
_TYPES = [
    "text/*",
    "application/json",
    "application/*+json",
    "application/javascript",
    "application/xml",
    "application/*+xml",
    "application/wasm",
    "image/svg+xml",
    "font/otf",
    "font/ttf",
]


def _type(value: str) -> str:
    if not _TYPE.fullmatch(value):
        raise wrong("expected a media type in lower case, such as text/html, text/* or application/*+json")
    return value


def _once(values: list[Algorithm]) -> list[Algorithm]:
    if len(set(values)) < len(values):
        raise wrong("an algorithm stands here twice", "leave one of them out")
    return values


class Compress(Strict):
    """Compress what targets send plainly."""

    algorithms: Annotated[list[Algorithm], Field(min_length=1), AfterValidator(_once)] = ["zstd", "br", "gzip"]
    """Those that are used; the first wins where a client accepts several equally."""
    min_bytes: Size = size("1KiB", least="0B", most="1GiB")
    """Content known to be shorter goes as it is."""
    types: Annotated[list[Annotated[str, AfterValidator(_type)]], Field(min_length=1, max_length=100)] = _TYPES
    """Media types that are compressed: whole, ``type/*`` or ``type/*+suffix``."""
    streams: bool = False
    """Whether to compress ``text/event-stream``, ``application/x-ndjson`` and ``application/json-seq`` too."""
