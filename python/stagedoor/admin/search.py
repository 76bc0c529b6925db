"""What ``GET /executions`` is asked: query parameters, as conditions."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

STATUSES = ("open", "running", "suspended", "completed", "faulted", "cancelled")
PAGE, MAX_PAGE = 50, 500
MOST = 8
"""Attributes of one search."""
TEXTS = ("workflow", "version", "consumer", "origin", "status")
TIMES = ("started_from", "started_to", "ended_from", "ended_to")
KNOWN = (*TEXTS, *TIMES, "incident", "attribute", "before", "limit")


class NotAsked(ValueError):
    """The query is none; says why."""


def conditions(query: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """By the names of the parameters, ``limit`` and perhaps ``before`` among them; times in seconds since the epoch,
    attributes as pairs. Raises ``NotAsked``."""
    asked: dict[str, Any] = {}
    for name, text in query:
        if name not in KNOWN:
            raise NotAsked(f"known parameters are {', '.join(KNOWN)}")
        if name == "attribute":
            asked["attributes"] = (*asked.get("attributes", ()), _attribute(text))
        elif name in asked:
            raise NotAsked(f"{name} is given twice")
        else:
            asked[name] = moment(name, text) if name in TIMES else text
    if asked.get("status", "open") not in STATUSES:
        raise NotAsked(f"status is one of {', '.join(STATUSES)}")
    if "version" in asked and "workflow" not in asked:
        raise NotAsked("version goes with workflow")
    if asked.setdefault("incident", None) not in (None, "true", "false"):
        raise NotAsked("incident is true or false")
    if len(asked.get("attributes", ())) > MOST:
        raise NotAsked(f"more than {MOST} attributes")
    incident = asked["incident"]
    return asked | {"incident": None if incident is None else incident == "true", "limit": _limit(asked.get("limit"))}


def _limit(text: str | None) -> int:
    """Executions of a page."""
    if text is None:
        return PAGE
    if not (text.isascii() and text.isdecimal() and 1 <= int(text[:9]) <= MAX_PAGE):
        raise NotAsked(f"limit is a number from 1 to {MAX_PAGE}")
    return int(text)


def moment(name: str, text: Any) -> float:
    """Seconds since the epoch. Raises ``NotAsked``."""
    try:
        time = datetime.fromisoformat(text)
    except (ValueError, TypeError):
        time = None
    # A '+' that is not escaped arrives as a space.
    if time is None or time.tzinfo is None:
        raise NotAsked(f"{name} is a time such as 2027-01-31T00:00:00Z")
    return time.timestamp()


def _attribute(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise NotAsked("attribute is NAME=VALUE")
    return name, value
