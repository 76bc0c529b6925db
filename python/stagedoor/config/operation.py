"""The operations of an OpenAPI document that a route may be about, and the schemas of their contents."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

from stagedoor.config.members import resolve

Json = Any
Ranges = Sequence[tuple[int, int]]
_METHODS = ("get", "put", "post", "delete", "options", "head", "patch")
_PARAMETER = re.compile(r"\{[^{}]*\}")


def operations(document: Json, base: str | None, path: str, methods: Sequence[str]) -> list[Json]:
    """Those that a path template such as ``/orders/{id}`` may lead to. No ``methods``: any."""
    paths = document.get("paths") if isinstance(document, dict) else None
    wanted = {method.lower() for method in methods} or set(_METHODS)
    found = []
    for name, item in paths.items() if isinstance(paths, dict) else ():
        item = resolve(document, item)
        if isinstance(item, dict) and _may_be(path, (_base(document) if base is None else base) + name):
            found += [item[method] for method in _METHODS if method in wanted and isinstance(item.get(method), dict)]
    return found


def request_schemas(document: Json, operation: Json) -> list[Json] | None:
    """None where its content may be anything; empty where there is none of a kind that is transformed."""
    body = resolve(document, operation.get("requestBody"))
    return [] if body is None else _contents(body)


def response_schemas(document: Json, operation: Json, statuses: Ranges) -> list[Json] | None:
    """Of all answers with these statuses."""
    responses, schemas = operation.get("responses"), []
    for code, response in responses.items() if isinstance(responses, dict) else ():
        if _covers(statuses, str(code)):
            found = _contents(resolve(document, response))
            if found is None:
                return None
            schemas += found
    return schemas


def _contents(message: Json) -> list[Json] | None:
    content = message.get("content") if isinstance(message, dict) else None
    schemas = []
    for name, media in content.items() if isinstance(content, dict) else ():
        kind = name.partition(";")[0].strip().lower()
        if "xml" in kind or kind in ("application/x-ndjson", "application/ndjson", "application/jsonl"):
            return None
        if kind == "text/event-stream" or not isinstance(media, dict):
            return None
        if kind.endswith(("/json", "+json", "/*")) or kind == "application/x-www-form-urlencoded":
            if "schema" not in media:
                return None
            schemas.append(media["schema"])
    return schemas


def _covers(statuses: Ranges, code: str) -> bool:
    if code == "default":
        return True
    first, last = (int(code[0] + "00"), int(code[0] + "99")) if code[1:].upper() == "XX" else _both(code)
    return any(low <= last and first <= high for low, high in statuses)


def _both(code: str) -> tuple[int, int]:
    return (int(code), int(code)) if code.isdecimal() else (0, 0)


def _base(document: Json) -> str:
    servers = document.get("servers")
    first = servers[0] if isinstance(servers, list) and servers else None
    url = first.get("url") if isinstance(first, dict) else None
    return urlsplit(url).path.rstrip("/") if isinstance(url, str) and "{" not in url.partition("://")[0] else ""


def _may_be(route: str, described: str) -> bool:
    """Whether some request may be for both templates."""
    ours, theirs = list(_segments(route)), list(_segments(described))
    if ours and ours[-1].endswith("...}"):
        return len(theirs) >= len(ours) - 1 and all(map(_same, ours[:-1], theirs))
    return len(ours) == len(theirs) and all(map(_same, ours, theirs))


def _segments(path: str) -> Iterator[str]:
    return iter(path.removeprefix("/").split("/"))


def _same(one: str, other: str) -> bool:
    return one == other or any(_PARAMETER.search(each) for each in (one, other))
