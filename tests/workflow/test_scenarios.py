"""Every case of ``cases/``, every scenario of ``features/`` and of the specification's kit: what is called, what comes
out, and that every prefix of its history replays."""

from __future__ import annotations

from dataclasses import asdict
from functools import cache
from typing import Any

import pytest
from collection import kit, own
from resumed import check_every_cut
from scenario import RESOURCES, document
from stagedoor.engine.record import decode, encode
from stagedoor.workflow.commands import (
    Call,
    CancelCall,
    Emit,
    OpenIncident,
    RegisterCompensation,
    RunProcess,
    SetAttributes,
    StartChild,
    StartTimer,
)
from stagedoor.workflow.events import CallCompleted, CallFailed, CallUnknown, IncidentResolved, TimerFired
from stagedoor.workflow.machine import Machine
from stagedoor.workflow.parse import parse
from stand_in import Scene
from virtual import Driver, last, task_name

CASES = own() + kit()
KNOWN = {
    *("case", "workflow", "metadata", "use", "do", "input", "answers", "operator", "cancel", "events", "suspend"),
    *(
        "status",
        "output",
        "error",
        "compensation",
        "calls",
        "delays",
        "cancelled",
        "registered",
        "order",
        "incidents",
        "waiting",
    ),
    *("timeline", "emitted", "children", "processes", "attributes", "set"),
    # Of scenarios in Gherkin.
    *("requests", "workflows", "secrets", "executed"),
    *("fault", "properties", "values", "items", "ran", "outcomes", "made", "waited"),
}


def run(case: dict[str, Any]) -> Driver:
    assert not set(case) - KNOWN, "a case has no other keys"
    answers = {
        name: answer if isinstance(answer, list) else [answer] for name, answer in case.get("answers", {}).items()
    }
    words, events = list(case.get("operator", [])), case.get("events", [])
    driver = Driver(
        parse(document(case), RESOURCES),
        answers,
        words,
        case.get("cancel"),
        events,
        case.get("suspend"),
        Scene(case["requests"]) if "requests" in case else None,
        case.get("secrets", {}),
        [parse(other) for other in case.get("workflows", [])],
    )
    driver.run(case.get("input"))
    return driver


@cache
def ran(number: int) -> tuple[dict[str, Any], Driver]:
    """The case of this number, run once for all that is asked of it."""
    case = CASES[number][1]
    return case, run(case)


each_case = pytest.mark.parametrize("number", range(len(CASES)), ids=[name for name, _ in CASES])


def covers(found: Any, wanted: Any, at: str = "") -> None:
    """Objects may have more keys than wanted; everything else is equal."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        for key, value in wanted.items():
            assert key in found, f"{at}/{key} is missing in {found}"
            covers(found[key], value, f"{at}/{key}")
    elif isinstance(wanted, list) and isinstance(found, list):
        assert len(found) == len(wanted), f"{at}: {found}"
        for index, value in enumerate(wanted):
            covers(found[index], value, f"{at}/{index}")
    else:
        assert found == wanted, at


@each_case
def test_a_case_runs_as_it_says(number: int) -> None:
    case, driver = ran(number)
    machine, commands = driver.machine, driver.commands
    assert machine.status == case.get("status", "faulted" if "error" in case else "completed"), machine.waiting()
    if machine.status == "completed" or "output" in case:
        assert machine.output == case.get("output", machine.output)
    if "error" in case:
        covers(machine.error, case["error"])
    if "compensation" in case:
        covers(machine.saga.report(), case["compensation"])
    calls = [command for command in commands if isinstance(command, Call)]
    if "calls" in case:
        wanted = [{"call": call} if isinstance(call, str) else call for call in case["calls"]]
        shown = [
            {
                "call": f"{call.method} {call.endpoint}",
                "key": call.idempotency_key,
                "body": call.body,
                "headers": call.headers,
                "query": call.query,
                "output": call.output,
            }
            for call in calls
        ]
        covers(shown, wanted)
    if "delays" in case:
        started = dict(zip((id(command) for command in commands), times(driver), strict=True))
        delays = [round(c.at - started[id(c)], 3) for c in commands if isinstance(c, StartTimer)]
        assert delays == case["delays"]
    if "cancelled" in case:
        names = {call.id: task_name(call) for call in calls}
        assert [names[command.id] for command in commands if isinstance(command, CancelCall)] == case["cancelled"]
    if "registered" in case:
        registered = [[last(c.task), c.arguments] for c in commands if isinstance(c, RegisterCompensation)]
        assert registered == case["registered"]
    if "children" in case:
        children = [
            {"workflow": c.workflow, "version": c.version, "input": c.input}
            for c in commands
            if isinstance(c, StartChild)
        ]
        assert children == case["children"]
    if "processes" in case:
        covers([asdict(command) for command in commands if isinstance(command, RunProcess)], case["processes"])
    if "emitted" in case:
        covers([command.event for command in commands if isinstance(command, Emit)], case["emitted"])
    if "attributes" in case:
        assert machine.attributes == case["attributes"]
    if "set" in case:
        assert [command.values for command in commands if isinstance(command, SetAttributes)] == case["set"]
    if "incidents" in case:
        assert [last(c.task) for c in commands if isinstance(c, OpenIncident)] == case["incidents"]
    if "order" in case:
        assert [entry["name"] for entry in machine.timeline()] == case["order"]
    if "timeline" in case:
        covers(machine.timeline(), case["timeline"])
    if "waiting" in case:
        for reason, part in zip(machine.waiting(), case["waiting"], strict=True):
            assert part in reason.text()
    check_scenario(case, driver)


def check_scenario(case: dict[str, Any], driver: Driver) -> None:
    """What scenarios in Gherkin say beside."""
    machine = driver.machine
    if "fault" in case:
        assert machine.error == case["fault"]
    for path in case.get("properties", []):
        property_of(machine.output, path)
    for path, value in case.get("values", []):
        assert property_of(machine.output, path) == value
    for path, count in case.get("items", []):
        assert len(property_of(machine.output, path)) == count
    timeline = machine.timeline()
    began = [entry["name"] for entry in timeline if entry["outcome"] != "skipped"]
    for name, how, other in case.get("ran", []):
        if how == "never":
            assert name not in began
        elif other is None:
            assert began[0 if how == "first" else -1] == name
        else:
            first, second = (name, other) if how == "before" else (other, name)
            assert began.index(first) < began.index(second)
    for name, outcome in case.get("outcomes", []):
        assert [entry["outcome"] for entry in timeline if entry["name"] == name][-1] == outcome
    if "made" in case:
        assert driver.scene is not None
        covers(driver.scene.requests, case["made"])
    if "waited" in case:
        started = dict(zip((id(command) for command in driver.commands), times(driver), strict=True))
        fired = {event.timer for event in driver.log if isinstance(event, TimerFired)}
        waits = [command for command in driver.commands if isinstance(command, StartTimer) and command.id in fired]
        assert [round(wait.at - started[id(wait)], 3) for wait in waits] == case["waited"]


def property_of(value: Any, path: str) -> Any:
    for key in path.split("."):
        assert key in value, f"{path} in {value}"
        value = value[key]
    return value


def times(driver: Driver) -> list[float]:
    """When each command was given."""
    machine, given = Machine(driver.definition), []
    for event in driver.log:
        given += [event.at] * len(machine.feed(event))
    return given


@each_case
def test_any_prefix_of_the_history_leaves_the_same_commands_pending(number: int) -> None:
    _, driver = ran(number)
    for length in range(1, len(driver.log) + 1):
        machine = Machine(driver.definition)
        for event in driver.log[:length]:
            machine.feed(event)
        assert machine.pending() == driver.owed[length - 1], f"after {length} events"
        machine.waiting()


@each_case
def test_going_on_from_a_snapshot_after_any_event_is_as_good_as_being_fed_all_of_them(number: int) -> None:
    _, driver = ran(number)
    check_every_cut(driver.definition, driver.log)


@each_case
def test_the_history_as_json_replays_to_the_same_commands(number: int) -> None:
    case, driver = ran(number)
    machine = Machine(parse(document(case), RESOURCES))
    again = []
    for event in driver.log:
        again += machine.feed(decode(type(event).__name__, event.at, encode(event)))
    assert again == driver.commands
    assert machine.status == driver.machine.status
    assert machine.timeline() == driver.machine.timeline()


@each_case
def test_an_answer_or_an_operator_s_word_that_comes_twice_changes_nothing(number: int) -> None:
    _, driver = ran(number)
    machine = Machine(driver.definition)
    again = []
    for event in driver.log:
        again += machine.feed(event)
        if isinstance(event, CallCompleted | CallFailed | CallUnknown | IncidentResolved):
            again += machine.feed(event)
    assert again == driver.commands
