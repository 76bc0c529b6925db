"""Endpoints: a URI with ``{name}`` variables (RFC 6570, level 1), checked while parsing, filled in while running."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit

Json = Any

_VARIABLE = re.compile(r"\{([^{}]*)\}")
_NAME = re.compile(r"\w+(?:\.\w+)*\Z")
"""Of a variable (RFC 6570, 2.3), without what is percent-encoded; a dot is part of it."""
_CLUSTER = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*\Z")
_FORBIDDEN = re.compile(r"[\x00-\x20\x7f-\x9f\\\"<>^`|]")


@dataclass(frozen=True, slots=True)
class Endpoint:
    """``parts`` alternate between text and the names of variables; the last ``query_from`` ones belong to the query."""

    parts: tuple[str, ...]
    query_from: int
    cluster: str | None
    origin: str

    def expand(self, data: Json) -> str:
        """Raises ``ValueError`` with a sentence. A value cannot change the shape of the path."""
        parts = self.parts
        if len(parts) == 1:
            return parts[0]
        filled = list(parts)
        for index in range(1, len(parts), 2):
            filled[index] = _fill(parts[index], data, in_query=index >= self.query_from)
        text = "".join(filled)
        path = text[len(self.origin) :].partition("?")[0]
        if any(segment in (".", "..") for segment in path.split("/")):
            raise ValueError("a variable of the endpoint would make a '.' or '..' segment")
        return text


def parse(text: str) -> Endpoint:
    """Raises ``ValueError`` with a sentence."""
    bare = _VARIABLE.sub("x", text)
    if "{" in bare or "}" in bare:
        raise ValueError("unbalanced braces in the endpoint")
    if _FORBIDDEN.search(bare):
        raise ValueError("the endpoint contains a character that must be percent-encoded")
    try:
        split = urlsplit(bare)
        _ = split.port
    except ValueError as error:
        raise ValueError(f"the endpoint is not a URI: {error}") from error
    cluster = _authority(text, split.scheme, split.netloc)
    if split.fragment or "#" in bare:
        raise ValueError("an endpoint has no fragment")
    pieces = _VARIABLE.split(text)
    for name in pieces[1::2]:
        if not _NAME.match(name):
            raise ValueError(f"not supported: {{{name}}} in an endpoint; only {{name}} of letters, digits, _ and . is")
    origin = f"{split.scheme}://{split.netloc}"
    question, seen = text.find("?"), 0
    query_from = len(pieces)
    for index, piece in enumerate(pieces):
        if index % 2 and 0 <= question < seen:
            query_from = index
            break
        seen += len(piece) + (2 if index % 2 else 0)
    return Endpoint(tuple(pieces), query_from, cluster, origin)


def check(value: Json) -> str:
    """An endpoint that an expression yielded. Raises ``ValueError`` with a sentence."""
    if not isinstance(value, str):
        raise ValueError("the endpoint's expression did not yield a string")
    if "{" in value or "}" in value:
        raise ValueError("an endpoint that an expression yields has no variables")
    parse(value)
    return value


def _authority(text: str, scheme: str, netloc: str) -> str | None:
    if scheme not in ("cluster", "http", "https"):
        raise ValueError("an endpoint begins with cluster://NAME/, http:// or https://")
    if not netloc:
        raise ValueError("the endpoint names no cluster" if scheme == "cluster" else "the endpoint names no host")
    if "{" in text[: len(scheme) + 3 + text[len(scheme) + 3 :].find("/")] or "@" in netloc:
        raise ValueError("variables and credentials are not allowed before the endpoint's path")
    if scheme != "cluster":
        return None
    if not _CLUSTER.match(netloc):
        raise ValueError(f"{netloc!r} is not the name of a cluster")
    return netloc


def _fill(name: str, data: Json, *, in_query: bool) -> str:
    value = data.get(name) if isinstance(data, dict) else None
    text = scalar(value)
    if text is None:
        raise ValueError(
            f"the endpoint's variable {name!r} is {'missing' if value is None else 'not a scalar'} in the input"
        )
    if not text and not in_query:
        raise ValueError(f"the endpoint's variable {name!r} is empty")
    return quote(text, safe="")


def scalar(value: Json) -> str | None:
    """A string, number or boolean as text; None for anything else."""
    if isinstance(value, str):
        return value
    if value is True or value is False:
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < 2**53 else repr(value)
    return None
