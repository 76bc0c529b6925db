"""Two versions of a document, fed with the same history: the same so far, or the first difference."""

from __future__ import annotations

from typing import Any

import pytest
from scenario import document
from stagedoor.workflow.commands import StartTimer
from stagedoor.workflow.error import ReplayMismatch
from stagedoor.workflow.events import ExecutionMigrated
from stagedoor.workflow.machine import Machine
from stagedoor.workflow.migration import Difference, compare, machine_of
from stagedoor.workflow.parse import parse
from virtual import Driver

Json = Any
UNDO = {"functions": {"undo": {"call": "http", "with": {"method": "delete", "endpoint": "cluster://s/{id}"}}}}


def post(path: str, **more: Json) -> Json:
    return {"call": "http", "with": {"method": "post", "endpoint": f"cluster://s/{path}"}, **more}


def definition(do: list[Json], **parts: Json) -> Any:
    return parse(document({"use": UNDO, "do": do, **parts}))


OLD = [
    {"a": post("a", metadata={"stagedoor/compensate": {"use": "undo", "with": "${ {id: $output.id} }"}})},
    {"note": {"set": {"n": 1}}},
    {"b": post("b")},
    {"last": {"set": {"done": True}}},
]


def history(answers: Json) -> list[Any]:
    """Of an execution by the old version, as far as it comes."""
    driver = Driver(definition(OLD), {"a": [{"status": 200, "content": {"id": 1}}], **answers})
    driver.run({})
    return driver.log


def changed(index: int, task: Json) -> list[Json]:
    return [*OLD[:index], task, *OLD[index + 1 :]]


SAME = [
    ("a task that is still to come", changed(3, {"other": post("c")})),
    ("arguments of an undo", changed(0, {"a": post("a", metadata={"stagedoor/compensate": {"use": "undo"}})})),
    ("a timeout", changed(2, {"b": post("b", timeout={"after": "PT1H"})})),
    (
        "attributes",
        changed(0, {"a": post("a", metadata={**OLD[0]["a"]["metadata"], "stagedoor/attributes": {"x": 1}})}),
    ),
]


@pytest.mark.parametrize(("what", "do"), SAME, ids=lambda value: value if isinstance(value, str) else "")
def test_what_is_of_no_account_so_far_may_differ(what: str, do: list[Json]) -> None:
    events, new = history({"b": ["never"]}), definition(do)
    found = compare(definition(OLD), new, events)
    assert not isinstance(found, Difference), found
    old, machine = found
    calls = [[each for each in both.pending() if not isinstance(each, StartTimer)] for both in (old, machine)]
    assert [type(each).__name__ for each in calls[0]] == ["Call"]
    assert calls[0] == [each for each in calls[1] if type(each).__name__ == "Call"]
    migrated = ExecutionMigrated(events[-1].at, new.hash, "1.0.1", definition(OLD).hash, "ann", "why")
    again = machine_of(new, [*events, migrated])
    for event in [*events, migrated]:
        again.feed(event)
    assert [each for each in again.pending() if type(each).__name__ != "StartTimer"] == calls[0]


@pytest.mark.parametrize(
    ("do", "number", "was", "would"),
    [
        (changed(2, {"b": post("x")}), 2, "the call /do/2/b#1 (POST cluster://s/b)", "another endpoint"),
        ([*OLD[:2], {"more": {"set": {"n": 2}}}, *OLD[2:]], 2, "/do/2/b#1", "/do/3/b#1"),
        (changed(0, {"a": post("a")}), 2, "RegisterCompensation /do/0/a", "the call /do/2/b#1"),
        (OLD[:2], 2, "the call", "Complete"),
        ([*OLD[1:]], 1, "/do/0/a#1", "/do/1/b#1"),
        (changed(0, {"a": {"try": [{"a": post("a")}], "catch": {}}}), 1, "/do/0/a#1", "/do/0/a/try/0/a#1"),
    ],
)
def test_the_first_difference_is_told(do: list[Json], number: int, was: str, would: str) -> None:
    found = compare(definition(OLD), definition(do), history({"b": ["never"]}))
    assert isinstance(found, Difference)
    assert (found.event, found.type) == (number, "CallCompleted" if number == 2 else "ExecutionStarted")
    assert was in (found.was or "")
    assert would in (found.would or "")


def test_a_timer_that_has_fired_is_one_of_the_new_version_too() -> None:
    old = [{"w": {"wait": "PT1S"}}, {"b": post("b")}]
    driver = Driver(definition(old), {"b": ["never"]})
    driver.run({})
    assert not isinstance(
        compare(definition(old), definition([{"w": {"wait": "PT9H"}}, *old[1:]]), driver.log), Difference
    )
    found = compare(definition(old), definition([{"w": {"set": {"n": 1}}}, *old[1:]]), driver.log)
    assert isinstance(found, Difference)
    assert "the call /do/1/b#1" in str(found)


def test_a_history_of_another_document_is_none_of_this_ones() -> None:
    events = history({"b": ["never"]})
    with pytest.raises(ReplayMismatch):
        compare(definition(OLD[1:]), definition(OLD), events)
    with pytest.raises(ReplayMismatch, match="does not go back to the start"):
        compare(definition(OLD), definition(OLD), events[1:])
    with pytest.raises(ReplayMismatch, match="began with another version"):
        Machine(definition(OLD[:3])).feed(events[0])
