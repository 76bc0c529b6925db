"""Raising a caught error again. The specification has no word for it, and wants the status of a raised error written
out: so there is one ``raise`` for each status."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

Json = Any
STATUSES = frozenset(
    {400, 401, 402, 403, 404, 405, 406, 408, 409, 410, 412, 413, 415, 422, 423, 424, 425, 428, 429}
    | {500, 501, 502, 503, 504}
)
"""Any other keeps its type, title and detail, and becomes 500."""


def function(document: Json) -> Json:
    """Of ``error``; with the statuses that the document itself raises."""
    statuses = sorted(STATUSES | set(_raised(document)))
    tasks: list[Json] = [
        {f"is{status}": {"if": f"${{ .error.status == {status} }}", **_raise(status)}} for status in statuses
    ]
    return {"do": [*tasks, {"other": _raise(500)}]}


def call(name: str, error: str) -> Json:
    return {"call": name, "with": {"error": f"${{ {error} }}"}}


def _raise(status: int) -> Json:
    error: dict[str, Json] = {"type": "${ .error.type }", "status": status}
    error |= {field: f'${{ .error.{field} // "" }}' for field in ("title", "detail")}
    # No instance: the schema takes an expression there for a pointer as well, and so for neither.
    return {"raise": {"error": error}}


def _raised(value: Json) -> Iterable[int]:
    if isinstance(value, dict):
        status = value.get("status")
        if "type" in value and isinstance(status, int):
            yield status
        for item in value.values():
            yield from _raised(item)
    elif isinstance(value, list):
        for item in value:
            yield from _raised(item)
