"""Times as documents and people write them; seconds in here.

Durations are ISO 8601 or an object of days, hours, minutes, seconds and milliseconds.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

Json = Any

UNITS = {"days": 86400.0, "hours": 3600.0, "minutes": 60.0, "seconds": 1.0, "milliseconds": 0.001}
LONGEST = 10 * 365 * 86400.0
"""Longest duration accepted, in seconds: ten years."""

_ISO = re.compile(
    r"P(?!$)(?:(\d+(?:\.\d+)?)W)?(?:(\d+(?:\.\d+)?)D)?"
    r"(?:T(?=\d)(?:(\d+(?:\.\d+)?)H)?(?:(\d+(?:\.\d+)?)M)?(?:(\d+(?:\.\d+)?)S)?)?\Z"
)
_WEIGHTS = (7 * 86400.0, 86400.0, 3600.0, 60.0, 1.0)


def seconds(value: Json) -> float:
    """Raises ``ValueError`` with a sentence. Years and months are refused: they have no fixed length."""
    if isinstance(value, str):
        total = _iso(value)
    elif isinstance(value, dict) and value:
        total = 0.0
        for unit, amount in value.items():
            if unit not in UNITS:
                raise ValueError(f"unknown unit {unit!r}: expected one of {', '.join(UNITS)}")
            if isinstance(amount, bool) or not isinstance(amount, int | float):
                raise ValueError(f"{unit} must be a number")
            total += amount * UNITS[unit]
    else:
        raise ValueError("expected an ISO 8601 duration like 'PT5S' or an object like {seconds: 5}")
    if not 0 <= total <= LONGEST:
        raise ValueError("a duration lies between zero and ten years")
    return total


def moment(at: float) -> str:
    """Seconds since the epoch as ISO 8601 in UTC, to the millisecond."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _iso(text: str) -> float:
    match = _ISO.match(text)
    if match is None:
        hint = (
            "years and months have no fixed length"
            if re.match(r"P\d+(\.\d+)?[YM]", text)
            else "like 'PT5S' or 'P1DT2H'"
        )
        raise ValueError(f"{text!r} is not an ISO 8601 duration: {hint}")
    return sum(float(number) * weight for number, weight in zip(match.groups(), _WEIGHTS, strict=True) if number)
