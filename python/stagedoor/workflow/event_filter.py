"""Which events a listener is meant for: attributes and data by value, pattern or expression, and correlation."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stagedoor.workflow import cloud_event
from stagedoor.workflow.error import Failure
from stagedoor.workflow.expression import Compiled, Environment, Template

if TYPE_CHECKING:
    from stagedoor.workflow.compiler import Compiler
    from stagedoor.workflow.place import Place

Json = Any
Matcher = Callable[[Environment, Json], bool]

_SPECIAL = re.compile(r"[\\^$*+?()\[\]{}|]")


@dataclass(frozen=True, slots=True)
class Correlation:
    name: str
    value: Compiled
    """Over the event; where it finds nothing there, over its data."""
    expect: Template | None
    """None: the first value that is found is the one that is expected from then on."""

    def of(self, event: Json, environment: Environment) -> Json:
        try:
            found = self.value(environment, event)
        except Failure:
            found = None
        if found is None:
            found = self.value(environment, cloud_event.data(event))
        return found


@dataclass(frozen=True, slots=True)
class EventFilter:
    type: str | None
    """The only type that it can match, where that is known before it runs."""
    attributes: tuple[tuple[str, Matcher], ...]
    correlations: tuple[Correlation, ...]
    written: Json = None
    """``{with, correlate}`` as the document has it."""

    @property
    def correlated(self) -> bool:
        """Whether it says by itself which events are meant, also those that came before it."""
        return any(each.expect is not None for each in self.correlations)

    def expected(self, environment: Environment, data: Json, bound: dict[str, Json]) -> dict[str, Json]:
        """What the correlations want, by name; those that are open, or whose expression fails, are left out."""
        found: dict[str, Json] = {}
        for each in self.correlations:
            if each.name in bound:
                found[each.name] = bound[each.name]
            elif each.expect is not None:
                with suppress(Failure):
                    found[each.name] = each.expect(environment, data)
        return found

    def match(self, event: Json, environment: Environment, data: Json, expected: dict[str, Json]) -> Json | None:
        """None, or what is expected of further events. An expression that fails matches nothing: events come from
        strangers, and none of them may fault a workflow."""
        if self.type is not None and event["type"] != self.type:
            return None
        try:
            for name, matches in self.attributes:
                value = cloud_event.data(event) if name == "data" else event.get(name)
                if not matches(environment, value):
                    return None
            bound = dict(expected)
            for each in self.correlations:
                found = each.of(event, environment)
                if found is None:
                    return None
                if each.expect is not None:
                    bound.setdefault(each.name, each.expect(environment, data))
                if bound.setdefault(each.name, found) != found:
                    return None
        except Failure:
            return None
        return bound


def compile(place: Place, compiler: Compiler, variables: Sequence[str]) -> EventFilter | None:
    """``{with, correlate}``."""
    if not place.mapping(required=("with",)):
        return None
    place.keys({"with", "correlate"}, common=False)
    wanted = place.at("with")
    if not wanted.mapping(minimum=1):
        return None
    attributes: list[tuple[str, Matcher]] = []
    kind: str | None = None
    for name, value in wanted.value.items():
        found = wanted.at(name)
        if name == "type" and isinstance(value, str) and not found.is_expression() and not _is_pattern(value):
            kind = value
        elif name == "data":
            attributes.append((name, _part(found, compiler, variables)))
        elif isinstance(value, str):
            if name in cloud_event.URIS:
                found.uri()
            if name == "time" and not found.is_expression() and not cloud_event.is_time(value):
                found.problem("time is written as in '2026-01-31T12:00:00Z'")
            attributes.append((name, _text(found, compiler, variables)))
        elif name in ("id", "source", "type", "time", "subject", "datacontenttype", "dataschema"):
            found.text()
        else:
            attributes.append((name, _part(found, compiler, variables)))
    correlations = []
    if "correlate" in place.value and place.at("correlate").mapping():
        for name in place.value["correlate"]:
            found = place.at("correlate").at(name)
            if not found.mapping(required=("from",)):
                continue
            found.keys({"from", "expect"}, common=False)
            value = compiler.expression(found.at("from"), variables)
            expect = None
            if "expect" in found.value and found.at("expect").text() is not None:
                expect = compiler.template(found.at("expect"), variables)
            correlations.append(Correlation(name, value, expect))
    return EventFilter(kind, tuple(attributes), tuple(correlations), place.value)


def _text(place: Place, compiler: Compiler, variables: Sequence[str]) -> Matcher:
    """A text: an expression, or the value itself, or a regular expression that matches the whole of it."""
    text: str = place.value
    if place.is_expression():
        return _computed(compiler.expression(place, variables))
    compiler.literal(place, variables)
    if not _is_pattern(text):
        return lambda environment, value: bool(value == text)
    whole = json.dumps(f"^(?:{text})$")
    pattern = Compiled(f"test({whole})", ())

    def matches(environment: Environment, value: Json) -> bool:
        return value == text or (isinstance(value, str) and pattern(environment, value) is True)

    return matches


def _part(place: Place, compiler: Compiler, variables: Sequence[str]) -> Matcher:
    """Of the data: an object matches one that has at least its members."""
    wanted = place.value
    if place.is_expression():
        return _computed(compiler.expression(place, variables))
    if isinstance(wanted, str):
        compiler.literal(place, variables)
    if not isinstance(wanted, dict):
        return lambda environment, value: same(value, wanted)
    members = [(name, _part(place.at(name), compiler, variables)) for name in wanted]

    def matches(environment: Environment, value: Json) -> bool:
        return isinstance(value, dict) and all(
            name in value and member(environment, value[name]) for name, member in members
        )

    return matches


def _computed(expression: Compiled) -> Matcher:
    """A condition on the value, which is ``.``; or what the value must be."""

    def matches(environment: Environment, value: Json) -> bool:
        found = expression(environment, value)
        return found if isinstance(found, bool) else found is not None and same(value, found)

    return matches


def same(value: Json, wanted: Json) -> bool:
    """``true`` is not 1."""
    return isinstance(value, bool) is isinstance(wanted, bool) and bool(value == wanted)


def _is_pattern(text: str) -> bool:
    """Whether it can be read as a regular expression that is more than the text itself."""
    if not _SPECIAL.search(text):
        return False
    try:
        re.compile(text)
    except re.error:
        return False
    return True
