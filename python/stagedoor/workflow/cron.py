"""Cron expressions: five fields, in UTC."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

FIELDS = (("minute", 0, 59), ("hour", 0, 23), ("day of the month", 1, 31), ("month", 1, 12), ("day of the week", 0, 7))
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
SHORT = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
LOOK_AHEAD = timedelta(days=8 * 366)
"""There is a 29th of February within it."""


@dataclass(frozen=True, slots=True)
class Cron:
    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: frozenset[int]
    months: frozenset[int]
    weekdays: frozenset[int]
    """Sunday is 0."""
    either: bool
    """Both kinds of days are restricted: one of them is enough."""

    def next(self, after: float) -> float | None:
        """The first time after ``after``, in seconds since the epoch; None if there is none."""
        start = datetime.fromtimestamp(after, UTC).replace(second=0, microsecond=0) + timedelta(minutes=1)
        day, end = start.replace(hour=0, minute=0), start + LOOK_AHEAD
        while day <= end:
            if day.month not in self.months:
                day = (day.replace(day=1) + timedelta(days=32)).replace(day=1)
                continue
            if self._on(day):
                for hour in self.hours:
                    for minute in self.minutes:
                        found = day.replace(hour=hour, minute=minute)
                        if found >= start:
                            return found.timestamp()
            day += timedelta(days=1)
        return None

    def _on(self, day: datetime) -> bool:
        dated, named = day.day in self.days, (day.weekday() + 1) % 7 in self.weekdays
        return dated or named if self.either else dated and named


def parse(text: str) -> Cron:
    """Raises ``ValueError`` with a sentence."""
    words = SHORT.get(text.strip().lower(), text).split()
    if len(words) != 5:
        raise ValueError(f"a cron expression has five fields (minute hour day month weekday), found {len(words)}")
    values = [_field(word.lower(), what, low, high) for word, (what, low, high) in zip(words, FIELDS, strict=True)]
    minutes, hours, days, months, weekdays = values
    either = not _every(words[2]) and not _every(words[4])
    cron = Cron(
        tuple(sorted(minutes)),
        tuple(sorted(hours)),
        frozenset(days),
        frozenset(months),
        frozenset(each % 7 for each in weekdays),
        either,
    )
    if cron.next(0.0) is None:
        raise ValueError("there is no such day")
    return cron


def _every(word: str) -> bool:
    return word[0] in "*?"


def _field(word: str, what: str, low: int, high: int) -> set[int]:
    found: set[int] = set()
    for part in word.split(","):
        span, slash, step = part.partition("/")
        if slash and not (step.isdecimal() and 0 < int(step) <= high):
            raise ValueError(f"{part!r} is no {what}: a step is a number from 1 to {high}")
        if span in ("*", "?"):
            first, last = low, high
        else:
            begin, dash, end = span.partition("-")
            first = _number(begin, what, low, high)
            last = _number(end, what, low, high) if dash else high if slash else first
            if end == DAYS[0] and first > last:
                last = high  # sunday is the last day too
            if first > last:
                raise ValueError(f"{part!r} is no {what}: {begin} comes after {end}")
        found |= set(range(first, last + 1, int(step) if slash else 1))
    return found


def _number(text: str, what: str, low: int, high: int) -> int:
    names = MONTHS if what == "month" else DAYS if what == "day of the week" else ()
    if text in names:
        return names.index(text) + low
    if text.isdecimal() and low <= int(text) <= high:
        return int(text)
    raise ValueError(f"{text!r} is no {what}: expected {low} to {high}")
