"""Times as documents and people write them; seconds in here.

Durations are ISO 8601 or an object of days, hours, minutes, seconds and milliseconds. Years and months have no fixed
length: they are counted on the calendar, in UTC, from the moment at which the duration begins.
"""

from __future__ import annotations

import math
import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

Json = Any

UNITS = {"days": 86400.0, "hours": 3600.0, "minutes": 60.0, "seconds": 1.0, "milliseconds": 0.001}
LONGEST_YEARS = 10
LONGEST = LONGEST_YEARS * 365 * 86400.0
"""Longest duration without years and months, in seconds."""

_PART = r"(?:(\d+(?:\.\d+)?){})?"
_ISO = re.compile(
    r"P(?!$)" + "".join(map(_PART.format, "YMWD")) + rf"(?:T(?=\d){''.join(map(_PART.format, 'HMS'))})?\Z", re.ASCII
)
_WEIGHTS = (7 * 86400.0, 86400.0, 3600.0, 60.0, 1.0)


@dataclass(frozen=True, slots=True)
class Span:
    """A duration of months and seconds: first the months are counted, then the seconds. A fraction of a month is that
    part of the month that it falls into."""

    months: float
    seconds: float

    def after(self, at: float) -> float:
        """Its length in seconds if it begins at ``at``. A day that the month does not have is its last one."""
        whole = math.floor(self.months)
        end = _later(at, whole)
        if whole != self.months:
            end += (_later(at, whole + 1) - end) * (self.months - whole)
        return end - at + self.seconds


def parse(value: Json) -> float | Span:
    """Seconds, or what is counted from its beginning. Raises ``ValueError`` with a sentence."""
    total: float | Span
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
    if isinstance(total, Span):
        inside = total.months <= LONGEST_YEARS * 12 and total.seconds <= LONGEST
    else:
        inside = 0 <= total <= LONGEST
    if not inside:
        raise ValueError("a duration lies between zero and ten years")
    return total


def seconds(value: Json, at: float) -> float:
    """The same as seconds, of a duration that begins at ``at``."""
    found = parse(value)
    return found.after(at) if isinstance(found, Span) else found


def moment(at: float) -> str:
    """Seconds since the epoch as ISO 8601 in UTC, to the millisecond."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _iso(text: str) -> float | Span:
    match = _ISO.match(text)
    if match is None:
        raise ValueError(f"{text!r} is not an ISO 8601 duration: like 'PT5S', 'P1DT2H' or 'P1M'")
    years, months, *rest = (float(number) if number else 0.0 for number in match.groups())
    total = sum(number * weight for number, weight in zip(rest, _WEIGHTS, strict=True))
    return Span(years * 12 + months, total) if match[1] or match[2] else total


def _later(at: float, months: int) -> float:
    """The same day and time that many months later."""
    begin = datetime.fromtimestamp(at, UTC)
    year, month = divmod(begin.year * 12 + begin.month - 1 + months, 12)
    day = min(begin.day, monthrange(year, month + 1)[1])
    return begin.replace(year=year, month=month + 1, day=day).timestamp()
