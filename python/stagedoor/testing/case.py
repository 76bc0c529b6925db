"""One case: what goes in, what the services answer, what happens meanwhile, and what is expected."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Literal

from stagedoor.errors import Problem, StagedoorError
from stagedoor.workflow import cloud_event, duration
from stagedoor.workflow.expression import wrapped
from stagedoor.workflow.place import Place, suggestion

Json = Any

BEGIN = datetime(2026, 1, 1, tzinfo=UTC).timestamp()
"""When a case begins that does not say so."""

ACTIONS = ("retry", "edit", "skip", "done")
STATUSES = ("completed", "faulted", "cancelled", "running", "waiting", "suspended")
OUTCOMES = ("status", "unknown", "failed")
_ANSWER = {*OUTCOMES, "content", "headers", "after"}
_EXPECTED = {
    *("status", "output", "error", "calls", "order", "compensation", "compensations", "took", "waiting", "incidents"),
    *("emitted", "attributes"),
}
_CASE = {"input", "at", "consumer", "answers", "compensations", "operator", "cancel", "suspend", "events", "expect"}


class InvalidCases(StagedoorError):
    """A case that cannot be run: what is wrong with it, and where."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("; ".join(problem.message for problem in problems))
        self.problems = problems


@dataclass(frozen=True, slots=True)
class Answer:
    """What a service does with one call: answers (``status``), is not reached (``failed``), is reached and does not
    answer (``unknown``), or stays silent for ever."""

    kind: Literal["status", "failed", "unknown", "never"]
    status: int = 200
    content: Json = None
    """A string that is ``${ jq }`` as a whole is evaluated over ``{method, endpoint, query, headers, body, key}``."""
    headers: Mapping[str, str] = field(default_factory=dict)
    after: float = 0.01
    """Seconds until the answer comes."""


@dataclass(frozen=True, slots=True)
class Word:
    """What an operator says to an incident, and how many seconds after it was opened."""

    action: Literal["retry", "edit", "skip", "done"]
    arguments: Json = None
    after: float = 1.0


@dataclass(frozen=True, slots=True)
class Cancellation:
    after: float
    reason: str


@dataclass(frozen=True, slots=True)
class Suspension:
    """By an operator, ``after`` so many seconds from the start."""

    after: float
    lasts: float | None
    """Seconds until it is resumed; None: it is not."""
    reason: str


@dataclass(frozen=True, slots=True)
class Arrival:
    """A CloudEvent that comes from outside."""

    after: float
    event: Json


@dataclass(frozen=True, slots=True)
class Case:
    """Answers are by the name of a task or by its reference (``/do/0/charge``); the last of several repeats."""

    name: str = "case"
    input: Json = None
    at: float = BEGIN
    """Seconds since the epoch."""
    consumer: str | None = None
    answers: Mapping[str, Sequence[Answer]] = field(default_factory=dict)
    compensations: Mapping[str, Sequence[Answer]] = field(default_factory=dict)
    """Answers to the undo of a task, by the name or reference of the task to be undone."""
    operator: Sequence[Word] = ()
    cancel: Cancellation | None = None
    suspend: Sequence[Suspension] = ()
    events: Sequence[Arrival] = ()
    expect: Mapping[str, Json] = field(default_factory=dict)


def case(name: str, place: Place, tasks: Sequence[str]) -> Case:
    """From the data of a file; what is wrong goes to the place's problems. ``tasks`` are the names there are."""
    if not place.mapping():
        return Case(name)
    place.keys(_CASE, common=False)
    said = place.value
    begin = _moment(place.at("at")) if "at" in said else BEGIN
    return Case(
        name=name,
        input=said.get("input"),
        at=begin,
        consumer=place.at("consumer").text() if "consumer" in said else None,
        answers=_answers(place.at("answers"), tasks),
        compensations=_answers(place.at("compensations"), tasks),
        operator=tuple(_words(place.at("operator"))),
        cancel=_cancel(place.at("cancel"), begin) if "cancel" in said else None,
        suspend=tuple(_suspensions(place.at("suspend"), begin)),
        events=tuple(_events(place.at("events"), begin)),
        expect=_expect(place.at("expect"), begin),
    )


def given(name: str, said: Mapping[str, Json], tasks: Sequence[str], at: float | None = None) -> Case:
    """The same from what a test in Python says; ``at`` in seconds since the epoch. Raises ``InvalidCases``."""
    problems: list[Problem] = []
    found = case(name, Place({key: value for key, value in said.items() if value is not None}, (), problems), tasks)
    if problems:
        raise InvalidCases(problems)
    return found if at is None else replace(found, at=at)


def _answers(place: Place, tasks: Sequence[str]) -> dict[str, tuple[Answer, ...]]:
    if place.value is None or not place.mapping():
        return {}
    found: dict[str, tuple[Answer, ...]] = {}
    for name, value in place.value.items():
        each = place.at(name)
        if not name.startswith("/") and name not in tasks:
            near = suggestion(name, tasks)
            each.problem(f"no task is named {name!r}", f"did you mean {near!r}?" if near else None)
        items = [each.at(index) for index in range(len(value))] if isinstance(value, list) else [each]
        if not items:
            each.problem("expected at least one answer, found an empty list")
        found[name] = tuple(_answer(item) for item in items)
    return found


def _answer(place: Place) -> Answer:
    value = place.value
    if value == "never":
        return Answer("never")
    if _is_status(value):
        return Answer("status", value)
    if not isinstance(value, dict):
        hint = "for example 200, {status: 201, content: {id: 7}}, {failed: 503}, {unknown: 504} or never"
        place.problem("expected an answer", hint)
        return Answer("never")
    place.keys(_ANSWER, common=False)
    kinds = [kind for kind in OUTCOMES if kind in value]
    if len(kinds) > 1:
        place.problem(f"an answer is one of {', '.join(OUTCOMES)}; this one is {' and '.join(kinds)}")
    kind = kinds[0] if kinds else "status"
    status = value.get(kind, 200)
    if not _is_status(status):
        place.at(kind).problem("expected a status from 100 to 599")
        status = 500
    headers = value.get("headers") or {}
    if not isinstance(headers, dict) or not all(isinstance(text, str) for text in headers.values()):
        place.at("headers").problem("expected a map of headers with text")
        headers = {}
    after = _seconds(place.at("after"), 0.01)
    fields = {name.lower(): text for name, text in headers.items()}
    return Answer(kind, status, value.get("content"), fields, after)  # type: ignore[arg-type]


def _is_status(value: Json) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 100 <= value <= 599


def _words(place: Place) -> list[Word]:
    if place.value is None:
        return []
    if not isinstance(place.value, list):
        place.problem("expected a list of what the operator says", "for example [{action: retry}]")
        return []
    words = []
    for index in range(len(place.value)):
        each = place.at(index)
        if not each.mapping(required=("action",)):
            continue
        each.keys({"action", "arguments", "after"}, common=False)
        action = each.at("action").choice(ACTIONS, "retry")
        words.append(Word(action, each.value.get("arguments"), _seconds(each.at("after"), 1.0)))  # type: ignore[arg-type]
    return words


def _events(place: Place, begin: float) -> Iterator[Arrival]:
    """What is left out of a CloudEvent is filled in: its number as the id, and where it comes from."""
    if place.value is None:
        return
    if not isinstance(place.value, list):
        place.problem("expected a list of CloudEvents", "for example [{type: paid, data: {id: 7}, after: PT1M}]")
        return
    for index, said in enumerate(place.value):
        each = place.at(index)
        if not each.mapping(required=("type",)):
            continue
        event = {"specversion": "1.0", "id": str(index), "source": "/case", **said}
        event.pop("after", None)
        try:
            cloud_event.check(event)
        except ValueError as error:
            each.problem(str(error))
        yield Arrival(_seconds(each.at("after"), 1.0, begin), event)


def _cancel(place: Place, begin: float) -> Cancellation:
    if not place.mapping():
        return Cancellation(0.0, "")
    place.keys({"after", "reason"}, common=False)
    reason = place.at("reason").text() if "reason" in place.value else "cancelled by the case"
    return Cancellation(_seconds(place.at("after"), 0.0, begin), reason or "")


def _suspensions(place: Place, begin: float) -> Iterator[Suspension]:
    """One, or a list of them."""
    if place.value is None:
        return
    several = isinstance(place.value, list)
    for each in [place.at(index) for index in range(len(place.value))] if several else [place]:
        if not each.mapping():
            continue
        each.keys({"after", "for", "reason"}, common=False)
        after = _seconds(each.at("after"), 0.0, begin)
        lasts = _seconds(each.at("for"), 0.0, begin + after) if "for" in each.value else None
        reason = each.at("reason").text() if "reason" in each.value else "suspended by the case"
        yield Suspension(after, lasts, reason or "")


def _expect(place: Place, begin: float) -> Mapping[str, Json]:
    if place.value is None:
        return {}
    if not place.mapping():
        return {}
    place.keys(_EXPECTED, common=False)
    said = dict(place.value)
    place.at("status").choice(STATUSES, "completed")
    for name in ("calls", "order", "compensations", "emitted", "waiting", "incidents"):
        if name in said and not isinstance(said[name], list):
            place.at(name).problem("expected a list")
            said.pop(name)
    if "took" in said:
        said["took"] = _seconds(place.at("took"), 0.0, begin)
    return said


def _seconds(place: Place, default: float, begin: float = BEGIN) -> float:
    if place.value is None:
        return default
    try:
        return duration.seconds(place.value, begin)
    except ValueError as error:
        place.problem(str(error))
        return default


def _moment(place: Place) -> float:
    text = place.text()
    if text is None or wrapped(text) is not None:
        return BEGIN
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        place.problem("expected a moment, for example 2026-01-01T08:00:00Z")
        return BEGIN
    return (when if when.tzinfo is not None else when.replace(tzinfo=UTC)).timestamp()
