"""Consuming events: one, all or any of some kinds, and until when; what is asked for, and how far it has come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from stagedoor.workflow import event_filter
from stagedoor.workflow.event_filter import EventFilter
from stagedoor.workflow.expression import Compiled, Environment

if TYPE_CHECKING:
    from stagedoor.workflow.compiler import Compiler
    from stagedoor.workflow.place import Place

Json = Any
COMMON = 4
"""The rules since which the events that end a listener share the values of its correlations."""
Mode = Literal["one", "all", "any"]


@dataclass(frozen=True, slots=True)
class Strategy:
    mode: Mode
    filters: tuple[EventFilter, ...]
    """None of them with ``any``: every event."""
    until: Compiled | Strategy | None = None
    """With ``any``: a condition over what was consumed so far, or the events that end it. None: the first one does."""

    @property
    def types(self) -> tuple[str, ...]:
        """The types of all events that can match; empty where they are not known."""
        known: list[str] = []
        if not self.filters:
            return ()
        for each in self.filters:
            if each.type is None:
                return ()
            known.append(each.type)
        if isinstance(self.until, Strategy):
            if not self.until.types:
                return ()
            known += self.until.types
        return tuple(dict.fromkeys(known))

    @property
    def correlated(self) -> bool:
        return bool(self.filters) and all(each.correlated for each in self.filters)


MAX_TAKEN = 10_000
"""Events that an execution remembers to have taken: the engine keeps as many for its listeners."""


class Taken:
    """Which events the listeners of one execution took, by source and id, and in which order."""

    __slots__ = ("_numbers", "count")

    def __init__(self) -> None:
        self._numbers: dict[tuple[str, str], int] = {}
        self.count = 0
        """Ever."""

    def get(self, key: tuple[str, str]) -> int | None:
        """How many were taken before it."""
        return self._numbers.get(key)

    def add(self, key: tuple[str, str]) -> None:
        if key in self._numbers:
            return
        self._numbers[key] = self.count
        self.count += 1
        if len(self._numbers) > MAX_TAKEN:
            del self._numbers[next(iter(self._numbers))]


class Consumption:
    """How far one listener has come."""

    __slots__ = ("_environment", "_expected", "_filled", "_input", "_stop", "done", "strategy")

    def __init__(self, strategy: Strategy, environment: Environment, input: Json = None) -> None:
        self.strategy = strategy
        self._environment, self._input = environment, input
        self._expected: dict[str, Json] = {}
        self._filled = [False] * len(strategy.filters)
        until = strategy.until
        self._stop = Consumption(until, environment, input) if isinstance(until, Strategy) else None
        self.done = strategy.mode == "all" and not strategy.filters

    def wants(self, event: Json) -> bool:
        return not self.done and (self._ends(event) or self._find(event, self._expected) is not None)

    def awaited(self) -> tuple[Json, ...]:
        """The filters that are not filled, as the document has them; ``expects`` is what correlation expects now."""
        told = []
        for index, each in enumerate(self.strategy.filters):
            if not (self.strategy.mode == "all" and self._filled[index]):
                expected = each.expected(self._environment, self._input, self._expected)
                told.append({**each.written, "expects": expected} if expected else each.written)
        return tuple(told)

    @property
    def keys(self) -> dict[str, Json]:
        """What the correlations have come to, by name."""
        return dict(self._expected)

    def take(self, event: Json) -> bool:
        """Whether it was consumed: one that merely ends the listening is not. Only what is wanted is taken."""
        stop = self._stop
        if stop is not None and self._ends(event):
            stop.adopt(self._known(stop))
            stop.take(event)
            self.adopt(stop._known(self))
            self.done = stop.done
            return False
        found = self._find(event, self._expected)
        if found is None:
            return False
        index, self._expected = found
        if index is not None:
            self._filled[index] = True
        self.done = all(self._filled) if self.strategy.mode == "all" else self.strategy.until is None
        return True

    def adopt(self, known: dict[str, Json]) -> None:
        self._expected = known

    def _known(self, other: Consumption) -> dict[str, Json]:
        """What is expected of events for the other one: correlations of one name have one value, since rules 4."""
        return {**other._expected, **self._expected} if self._environment.rules >= COMMON else other._expected

    def _ends(self, event: Json) -> bool:
        stop = self._stop
        return stop is not None and not stop.done and stop._find(event, self._known(stop)) is not None

    def _find(self, event: Json, expected: dict[str, Json]) -> tuple[int | None, dict[str, Json]] | None:
        """The filter that it matches, and what is expected from then on."""
        if self.strategy.mode == "any" and not self.strategy.filters:
            return None, expected
        for index, each in enumerate(self.strategy.filters):
            if self.strategy.mode == "all" and self._filled[index]:
                continue
            bound = each.match(event, self._environment, self._input, expected)
            if bound is not None:
                return index, bound
        return None


def compile(place: Place, compiler: Compiler, variables: Sequence[str], *, ends: bool = False) -> Strategy | None:
    """``one``, ``all`` or ``any`` with ``until``. ``ends``: it is itself what ends another."""
    if not place.mapping():
        return None
    place.keys({"one", "all", "any", "until"}, common=False)
    said = place.value
    named = [mode for mode in ("one", "all", "any") if mode in said]
    if len(named) != 1:
        place.problem("events are consumed in one way: one, all or any")
        return None
    mode: Mode = named[0]  # type: ignore[assignment]
    if mode == "one":
        found = [event_filter.compile(place.at("one"), compiler, variables)]
    elif isinstance(said[mode], list):
        listed = place.at(mode)
        found = [event_filter.compile(listed.at(index), compiler, variables) for index in range(len(said[mode]))]
    else:
        place.at(mode).problem(f"{mode} is a list of events")
        return None
    until: Compiled | Strategy | None = None
    if "until" in said:
        if mode != "any" or ends:
            place.at("until").problem("until goes with any, and not into another until")
        elif isinstance(said["until"], str):
            until = compiler.expression(place.at("until"), variables)
        else:
            until = compile(place.at("until"), compiler, variables, ends=True)
    return Strategy(mode, tuple(each for each in found if each is not None), until)
