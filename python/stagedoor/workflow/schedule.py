"""When a workflow starts by itself: at times, after it has ended, or when events come."""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from stagedoor.workflow import arguments, cloud_event, consumption, cron
from stagedoor.workflow.cloud_event import Read
from stagedoor.workflow.consumption import Consumption, Strategy
from stagedoor.workflow.cron import Cron
from stagedoor.workflow.duration import Span, parse
from stagedoor.workflow.error import Failure
from stagedoor.workflow.events import RULES
from stagedoor.workflow.expression import Compiled, truthy

if TYPE_CHECKING:
    from stagedoor.workflow.compiler import Compiler
    from stagedoor.workflow.place import Place

Json = Any

SHORTEST = 1.0
"""Seconds between two starts at least."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """One of these is not None."""

    every: float | int | None = None
    """Seconds, or a whole number of months; it starts at their multiples since the epoch, so that a restart changes
    nothing."""
    cron: Cron | None = None
    after: float | Span | None = None
    """From the end of an execution to the start of the next one."""
    on: Strategy | None = None
    read: Read = "data"

    def next(self, after: float) -> float | None:
        """The first time after ``after`` at which it starts, in seconds since the epoch; None if times do not count."""
        if isinstance(self.every, int):
            return _month(after, self.every)
        if self.every is not None:
            return (math.floor(after / self.every) + 1) * self.every
        return self.cron.next(after) if self.cron is not None else None

    def again(self, end: float) -> float:
        """With ``after``: when it starts again after an execution that ended at ``end``."""
        assert self.after is not None
        return end + max(SHORTEST, self.after.after(end) if isinstance(self.after, Span) else self.after)


class Nowhere:
    """What expressions of a schedule may look at: there is no execution yet."""

    reference = "/schedule/on"
    rules = RULES

    def __init__(self, now: float = 0.0) -> None:
        self.now = now

    def variable(self, name: str) -> Json:
        return arguments.runtime(RULES)


class Gathering:
    """Events on their way to one start."""

    __slots__ = ("_consumption", "_schedule", "done", "events")

    def __init__(self, schedule: Schedule, now: float) -> None:
        assert schedule.on is not None
        self._schedule = schedule
        self._consumption = Consumption(schedule.on, Nowhere(now))
        self.events: list[Json] = []
        """CloudEvents, in the order in which they came."""
        self.done = False

    def offer(self, event: Json) -> bool:
        """Whether it is one of them."""
        if self.done or not self._consumption.wants(event):
            return False
        consumed = self._consumption.take(event)
        if consumed:
            self.events.append(event)
            until = self._consumption.strategy.until
            if isinstance(until, Compiled):
                try:
                    self._consumption.done = truthy(until(Nowhere(), self.input()))
                except Failure:
                    self._consumption.done = True
        self.done = self._consumption.done
        return consumed or self.done

    def input(self) -> Json:
        return [cloud_event.read(event, self._schedule.read) for event in self.events]


def compile(place: Place, compiler: Compiler) -> Schedule | None:
    if not place.mapping():
        return None
    place.keys({"every", "cron", "after", "on", "read"}, common=False)
    said = place.value
    named = [key for key in ("every", "cron", "after", "on") if key in said]
    if len(named) != 1:
        place.problem("a schedule is of one kind: every, cron, after or on")
        return None
    if "read" in said and named != ["on"]:
        place.at("read").problem("read goes with on")
    read: Read = place.at("read").choice(("data", "envelope", "raw"), "data")  # type: ignore[assignment]
    kind = named[0]
    found = place.at(kind)
    if kind == "on":
        strategy = consumption.compile(found, compiler, ("$runtime",))
        return None if strategy is None else Schedule(on=strategy, read=read)
    if kind == "cron":
        text = found.text()
        if text is None:
            return None
        try:
            return Schedule(cron=cron.parse(text))
        except ValueError as error:
            found.problem(str(error))
            return None
    duration = compiler.duration(found, ("$runtime",))
    try:
        length = parse(duration(Nowhere(), None)) if isinstance(duration, Compiled) else duration
    except Failure as failure:
        found.problem(f"{failure.error['title']}: {failure.error.get('detail')}")
        return None
    except ValueError as error:
        found.problem(f"the expression yields no duration: {error}")
        return None
    return Schedule(after=length) if kind == "after" else _every(found, length)


def _every(place: Place, length: float | Span) -> Schedule | None:
    if isinstance(length, Span):
        if length.seconds or not length.months.is_integer() or not length.months:
            place.problem("every counts whole months, or none", "write a cron expression for anything else")
            return None
        return Schedule(every=int(length.months))
    if length < SHORTEST:
        place.problem("every is at least a second")
        return None
    return Schedule(every=length)


def _month(after: float, every: int) -> float:
    """The first moment of the next month whose number since the epoch is a multiple."""
    now = datetime.fromtimestamp(after, UTC)
    number = ((now.year - 1970) * 12 + now.month - 1) // every * every + every
    return datetime(1970 + number // 12, number % 12 + 1, 1, tzinfo=UTC).timestamp()
