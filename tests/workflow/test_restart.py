"""Where a task began in a history, and what another execution that begins there does and does not do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from scenario import document
from stagedoor.engine.record import decode, encode
from stagedoor.errors import Conflict
from stagedoor.workflow.commands import Call, StartTimer
from stagedoor.workflow.events import Event, ExecutionMigrated, ExecutionRestarted
from stagedoor.workflow.machine import Machine
from stagedoor.workflow.parse import parse
from stagedoor.workflow.restart import Cut, cut
from virtual import Driver

Json = Any
UNDO = {"functions": {"undo": {"call": "http", "with": {"method": "delete", "endpoint": "cluster://s/{id}"}}}}
SAGA = {"stagedoor/compensate": {"use": "undo", "with": "${ {id: $output.id} }"}}


def post(path: str, **more: Json) -> Json:
    return {"call": "http", "with": {"method": "post", "endpoint": f"cluster://s/{path}", "body": "${ . }"}, **more}


def definition(do: list[Json]) -> Any:
    return parse(document({"use": UNDO, "do": do}))


def ran(do: list[Json], answers: Json, input: Json = None, **rest: Any) -> Driver:
    driver = Driver(definition(do), answers, **rest)
    driver.run({} if input is None else input)
    return driver


def restarted(do: list[Json], found: Cut, id: str = "e2", after: float = 1000.0, **edited: Json) -> list[Event]:
    """The history with which another execution begins there."""
    undos = edited.pop("undos", "left")
    first: Any = found.events[0]
    origin = {"task": found.task, "began": found.began, "stops": found.stops, "execution": first.execution}
    started = replace(first, execution=id, definition=definition(do).hash, origin=origin)
    at = found.events[-1].at + after
    return [
        started,
        *found.events[1:],
        ExecutionRestarted(at, id, found.task, sorted(edited), edited.get("input"), edited.get("context"), undos),
    ]


def fed(do: list[Json], events: list[Event]) -> Machine:
    """As an engine reads it back."""
    machine = Machine(definition(do))
    for event in events:
        machine.feed(decode(type(event).__name__, event.at, encode(event)))
    return machine


def calls(machine: Machine) -> list[Call]:
    return [each for each in machine.pending() if isinstance(each, Call)]


STEPS = [
    {"a": post("a", metadata=SAGA, export={"as": "${ {a: .id} }"})},
    {"note": {"set": {"id": "${ $workflow.id }", "a": "${ $context.a }"}}},
    {"b": post("b", metadata=SAGA)},
    {"c": post("c")},
]
ANSWERS = {"a": [{"status": 200, "content": {"id": 1}}], "b": [{"status": 200, "content": {"id": 2}}]}


def test_what_was_done_counts_and_what_follows_is_the_new_executions() -> None:
    origin = ran(STEPS, ANSWERS)
    found = cut(definition(STEPS), definition(STEPS), origin.log, "b")
    assert (found.event, found.task, found.undos) == (2, "/do/2/b", ["/do/0/a"])
    events = restarted(STEPS, found)
    [call] = calls(fed(STEPS, events))
    # The data were made by the origin, and so they name it; the key is the new one's.
    assert call.body == {"id": "e1", "a": 1}
    assert call.idempotency_key == "e2/do/2/b"
    [edited] = calls(fed(STEPS, restarted(STEPS, found, input={"id": 7})))
    assert edited.body == {"id": 7}


def test_context_is_edited_for_all_that_follows() -> None:
    do = [*STEPS[:1], {"b": {"set": {"a": "${ $context.a }"}}}, {"c": post("c")}]
    found = cut(definition(do), definition(do), ran(do, ANSWERS).log, "/do/1/b")
    [call] = calls(fed(do, restarted(do, found, context={"a": 5})))
    assert call.body == {"a": 5}


@pytest.mark.parametrize(
    ("undos", "entries"), [("left", [("/do/0/a", "kept")]), ("taken", [("/do/0/a", "compensated")])]
)
def test_what_was_done_before_is_undone_only_by_who_has_taken_it(undos: str, entries: Json) -> None:
    found = cut(definition(STEPS), definition(STEPS), ran(STEPS, ANSWERS).log, "b")
    driver = Driver(definition(STEPS), {"b": [500]})
    events = restarted(STEPS, found, undos=undos)
    machine = fed(STEPS, events)
    driver.go_on(machine, events)
    report = machine.saga.report()
    assert [(each["task"], each["status"]) for each in report["entries"]] == entries
    undone = [each.idempotency_key for each in driver.commands if isinstance(each, Call) and each.compensates]
    assert undone == (["e2/do/0/a/metadata/stagedoor~1compensate"] if undos == "taken" else [])


def test_a_restart_of_a_restart_begins_where_that_one_was() -> None:
    first = cut(definition(STEPS), definition(STEPS), ran(STEPS, ANSWERS).log, "b")
    middle = restarted(STEPS, first, input={"id": 7})
    driver = Driver(definition(STEPS), ANSWERS)
    driver.go_on(fed(STEPS, middle), middle)
    assert driver.machine.status == "completed"
    # Behind the first restart, and before it.
    again = cut(definition(STEPS), definition(STEPS), driver.log, "c")
    assert (again.began, len(again.stops), again.undos) == ("e1", 2, ["/do/2/b"])
    [call] = calls(fed(STEPS, restarted(STEPS, again, "e3")))
    assert (call.task, call.body, call.idempotency_key) == ("/do/3/c", {"id": 2}, "e3/do/3/c")
    before = cut(definition(STEPS), definition(STEPS), driver.log, "note")
    assert (before.event, len(before.stops)) == (2, 1)
    [call] = calls(fed(STEPS, restarted(STEPS, before, "e4")))
    assert call.body == {"id": "e4", "a": 1}


def test_time_that_has_passed_does_not_count() -> None:
    do = [{"all": {"timeout": {"after": "PT10S"}, "do": [{"a": post("a")}, {"b": post("b")}]}}]
    origin = ran(do, {"a": [{"status": 200, "after": 4}]})
    found = cut(definition(do), definition(do), origin.log, "b")
    machine = fed(do, restarted(do, found, after=1_000_000.0))
    [timer] = [each for each in machine.pending() if isinstance(each, StartTimer)]
    assert timer.at - machine.now == pytest.approx(6)


def test_a_migration_that_the_origin_has_been_through_is_of_no_account() -> None:
    origin = ran(STEPS, ANSWERS)
    events = [*origin.log[:2], ExecutionMigrated(origin.log[1].at, definition(STEPS).hash, "2", "old", "ann", "x")]
    events = [replace(events[0], definition="old"), *events[1:], *origin.log[2:]]
    found = cut(definition(STEPS), definition(STEPS), events, "c")
    assert found.stops[-1][0] == found.event - 1
    [call] = calls(fed(STEPS, restarted(STEPS, found)))
    assert call.task == "/do/3/c"


def test_another_version_may_differ_from_the_task_on() -> None:
    origin = ran(STEPS, ANSWERS)
    better = [*STEPS[:2], {"b": post("better")}, {"c": post("c")}]
    found = cut(definition(STEPS), definition(better), origin.log, "b")
    [call] = calls(fed(better, restarted(better, found)))
    assert call.endpoint == "cluster://s/better"
    with pytest.raises(Conflict, match="goes another way: after event 2"):
        cut(definition(STEPS), definition([{"a": post("a")}, *STEPS[1:]]), origin.log, "b")
    with pytest.raises(Conflict, match="does not come to /do/2/b"):
        cut(definition(STEPS), definition([*STEPS[:2], {"x": {"wait": "PT1S"}}]), origin.log, "b")


LOOP = [{"loop": {"for": {"each": "n", "in": "${ [1, 2] }"}, "do": [{"a": post("a")}]}}]
FORK = [{"f": {"fork": {"branches": [{"x": post("x")}, {"y": {"do": [{"y1": post("y1")}, {"y2": post("y2")}]}}]}}}]
TRIED = [
    {
        "t": {
            "try": [{"a": post("a")}, {"b": post("b")}],
            "catch": {"retry": {"delay": "PT1S", "limit": {"attempt": {"count": 1}}}},
        }
    }
]


@pytest.mark.parametrize(
    ("do", "answers", "task", "says"),
    [
        (STEPS, ANSWERS, "d", "it never came to 'd'; it came to /do/0/a, /do/1/note, /do/2/b, /do/3/c"),
        (LOOP, {}, "a", r"'a' ran more than once; say which: /do/0/loop/do/0/a\[0\], /do/0/loop/do/0/a\[1\]"),
        (FORK, {"x": [{"status": 200, "after": 9}]}, "y2", "the call POST cluster://s/x of /do/0/f/fork/branches/0/x"),
        (STEPS, {**ANSWERS, "c": [500]}, "c", "what /do/0/a did has been undone since"),
    ],
)
def test_what_would_be_done_or_undone_twice_is_refused(do: Json, answers: Json, task: str, says: str) -> None:
    with pytest.raises(Conflict, match=says):
        cut(definition(do), definition(do), ran(do, answers).log, task)


@pytest.mark.parametrize(
    ("do", "answers", "task", "sent"),
    [
        (LOOP, {}, "/do/0/loop/do/0/a[1]", ["e2/do/0/loop/do/0/a[1]"]),
        (FORK, {}, "f", ["e2/do/0/f/fork/branches/0/x", "e2/do/0/f/fork/branches/1/y/do/0/y1"]),
        # The last of its runs, in the attempt that failed.
        (TRIED, {"b": [500, 500]}, "b", ["e2/do/0/t/try/1/b:1"]),
        (TRIED, {"b": [500, 500]}, "t", ["e2/do/0/t/try/0/a"]),
    ],
)
def test_a_restart_is_at_a_task_within_others_too(do: Json, answers: Json, task: str, sent: list[str]) -> None:
    found = cut(definition(do), definition(do), ran(do, answers).log, task)
    assert [each.idempotency_key for each in calls(fed(do, restarted(do, found)))] == sent


def test_what_lies_behind_a_pivot_is_restarted_and_what_lies_before_is_kept() -> None:
    do = [*STEPS[:1], {"p": post("p", metadata={"stagedoor/pivot": True})}, {"c": post("c")}]
    origin = ran(do, {**ANSWERS, "c": [500]})
    found = cut(definition(do), definition(do), origin.log, "c")
    assert (found.undos, found.kept) == ([], [])
    assert cut(definition(do), definition(do), origin.log, "p").kept == ["/do/0/a"]


def test_what_another_workflow_did_that_was_run_is_not_taken() -> None:
    run = {"run": {"workflow": {"namespace": "test", "name": "other", "version": "1.0.0"}}}
    do = [{"r": run}, *STEPS[:1], {"c": post("c")}]
    other = {"end": {"output": 1, "undo": "due"}}
    found = cut(definition(do), definition(do), ran(do, {**ANSWERS, "r": [other]}).log, "c")
    assert (found.undos, found.kept) == (["/do/1/a"], ["/do/0/r"])
