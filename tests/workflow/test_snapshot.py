"""A snapshot and what came after it are as good as all events, and a snapshot stays small."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import grammar
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from resumed import check_every_cut, resumed, state
from scenario import document
from stagedoor.engine.record import decode, encode_json
from stagedoor.workflow.commands import Call, StartTimer
from stagedoor.workflow.definition import Task
from stagedoor.workflow.error import ReplayMismatch
from stagedoor.workflow.events import CallCompleted, ExecutionStarted, TimerFired
from stagedoor.workflow.identifiers import REMEMBERED
from stagedoor.workflow.machine import Machine
from stagedoor.workflow.migration import machine_of
from stagedoor.workflow.parse import parse, restore
from stagedoor.workflow.snapshot import FORMAT, KINDS, RECORDS, ROW, SnapshotUnreadable, slots
from stagedoor.workflow.tasks import KINDS as TASKS
from test_properties import ANSWER, ARRIVAL, RUN, Anything
from virtual import Driver

FORM = Path(__file__).parent / "form_of_state.json"
HISTORIES = sorted((Path(__file__).parent.parent / "replay" / "histories").glob("*.json"))
Json = Any


@settings(max_examples=40, deadline=None)
@given(
    grammar.documents(),
    st.sampled_from([None, {"n": 1}, {"n": 2, "list": [1, 2], "pause": "PT1S"}]),
    st.lists(ANSWER, min_size=1, max_size=5),
    st.lists(RUN, min_size=1, max_size=3),
    st.lists(ARRIVAL, max_size=4),
    st.sampled_from([None, None, 0.5, 4]),
    st.sampled_from([None, None, {"after": 0.2}, {"after": 1, "until": 6}]),
)
def test_any_execution_of_any_document_goes_on_from_a_snapshot_after_any_event(
    made: Json,
    input: Json,
    answers: list[Json],
    runs: list[Json],
    arrivals: list[Json],
    cancel: float | None,
    suspend: Json,
) -> None:
    request = None if cancel is None else {"after": cancel, "reason": "enough"}
    driver = Anything(parse(made), answers, runs, arrivals=arrivals, cancel=request, suspend=suspend)
    driver.run(input)
    check_every_cut(driver.definition, driver.log)


def test_a_snapshot_of_the_first_form_is_read() -> None:
    """It did not say since when an answer is waited for, and knew no turns."""
    machine, _ = started([{"f": {"fork": {"branches": [{"a": POST}, {"w": {"wait": "PT1H"}}]}}}])
    written = json.loads(encode_json(machine.snapshot()))
    written["format"] = 1
    new = {"_begun", "_queued", "_transitions", "_turn", "_turns", "busy"}
    names = written["fields"]["machine"]
    [fields] = [each for each in written["objects"] if each[0] == "machine"]
    for _, wait in fields[names.index("_waits") + 1]["k"]:
        wait["u"].pop()
    fields[1:] = [value for name, value in zip(names, fields[1:], strict=True) if name not in new]
    written["fields"]["machine"] = [name for name in names if name not in new]
    found = Machine.restore(machine.definition, written)
    assert found.pending() == machine.pending()
    assert found.waiting() == machine.waiting()
    assert found.feed(CallCompleted(6.0, "/do/0/f/fork/branches/0/a#1", 200, 1)) == []


@pytest.mark.parametrize("path", HISTORIES, ids=lambda path: path.stem)
def test_a_recorded_history_can_be_cut_anywhere(path: Path) -> None:
    history = json.loads(path.read_text())
    definition = restore(history["document"])
    events = [decode(each["type"], each["at"], json.dumps(each["data"])) for each in history["events"]]
    snapshot = history.get("snapshot")
    begun = Machine.restore(definition, snapshot["state"]) if snapshot else machine_of(definition, events)
    check_every_cut(definition, events, begun)


def started(tasks: Json, use: Json = None, input: Json = None, **rest: Json) -> tuple[Machine, list[Any]]:
    definition = parse(document({"do": tasks, **({"use": use} if use else {}), **rest}))
    machine = Machine(definition)
    return machine, machine.feed(ExecutionStarted(1.0, "e1", definition.hash, input))


POST = {"call": "http", "with": {"method": "post", "endpoint": "cluster://s/a", "body": "${ . }"}}


def test_a_snapshot_goes_on_by_another_copy_of_its_definition_and_by_no_other() -> None:
    machine, _ = started([{"a": POST}], input={"n": 1})
    again = parse(machine.definition.document)
    assert resumed(machine, again).pending() == machine.pending()
    other = parse(document({"do": [{"b": POST}]}))
    with pytest.raises(SnapshotUnreadable, match="another version of"):
        resumed(machine, other)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"format": FORMAT + 1}, f"a snapshot of format {FORMAT + 1}; this release reads up to {FORMAT}"),
        ({"rules": 99}, "by rules 99; this machine knows up to"),
        ({"objects": [["machine", {"o": 7}]]}, "damaged: IndexError"),
        ({"objects": [["machine"]], "fields": {"machine": ["more"]}}, "damaged: KeyError: 'the fields of machine'"),
        ({"objects": [["CallFrame", "call /nowhere"]]}, "damaged: KeyError: 'call /nowhere'"),
        ({"data": []}, "damaged: IndexError"),
    ],
)
def test_a_snapshot_that_cannot_be_read_is_refused(change: Json, says: str) -> None:
    machine, _ = started([{"a": POST}], input={"n": 1})
    with pytest.raises(SnapshotUnreadable, match=says):
        Machine.restore(machine.definition, {**machine.snapshot(), **change})
    with pytest.raises(SnapshotUnreadable, match="a snapshot of format None"):
        Machine.restore(machine.definition, [])


def test_secrets_are_in_a_snapshot_by_name_alone() -> None:
    secretive = {"call": "http", "with": {**POST["with"], "headers": {"X-Key": "${ $secrets.key + .n }"}}}
    machine, [call] = started([{"a": secretive}], {"secrets": ["key"]}, {"n": "!"})
    again = resumed(machine)
    [pending] = again.pending()
    assert isinstance(pending, Call)
    assert pending.headers["X-Key"].reveal({"$secrets": {"key": "s3cret"}}) == "s3cret!"
    assert "$secrets.key" in encode_json(again.snapshot())
    assert again.pending() == [call]


def test_what_several_frames_hold_is_written_once() -> None:
    large = {"text": "x" * 10_000}
    tasks: Json = [{"a": POST}]
    for depth in range(10):
        tasks = [{f"d{depth}": {"do": tasks}}]
    machine, _ = started(tasks, input=large)
    assert len(encode_json(machine.snapshot())) < 2 * 10_000 + 10_000


def rounds(machine: Machine, commands: list[Any], count: int) -> None:
    """Answers whatever is asked."""
    at = machine.now
    for _ in range(count):
        [command] = commands
        at += 1.0
        answer = (
            TimerFired(at, command.id)
            if isinstance(command, StartTimer)
            else CallCompleted(at, command.id, 200, {"round": 1})
        )
        commands[:] = machine.feed(answer)


LOOP = {"for": {"each": "x", "in": "${ [range(3000)] }"}, "do": [{"a": POST}, {"w": {"wait": "PT1S"}}]}
BACK = [{"a": POST}, {"w": {"wait": "PT1S"}}, {"again": {"switch": [{"always": {"then": "a"}}]}}]


@pytest.mark.parametrize("tasks", [[{"loop": LOOP}], BACK], ids=["for", "then"])
def test_a_long_loop_is_remembered_by_its_last_rounds(tasks: Json) -> None:
    machine, commands = started(tasks)
    first = commands[0].id
    rounds(machine, commands, 4 * REMEMBERED)
    short = encode_json([machine.snapshot()["objects"]])
    rounds(machine, commands, 2 * REMEMBERED)
    assert len(encode_json([machine.snapshot()["objects"]])) < 1.1 * len(short)
    assert machine.feed(CallCompleted(machine.now, first, 200, None)) == []
    with pytest.raises(ReplayMismatch, match="was never made"):
        machine.feed(CallCompleted(machine.now, "/do/7/other#1", 200, None))
    before = state(machine)
    assert state(resumed(machine)) == before


def test_what_may_be_repeated_is_remembered_for_good() -> None:
    retried = {"try": [{"loop": LOOP}], "catch": {"retry": {"limit": {"attempt": {"count": 1}}}}}
    machine, commands = started([{"t": retried}])
    keys = [commands[0].idempotency_key]
    rounds(machine, commands, 4 * REMEMBERED)
    [call] = commands
    [retry] = machine.feed(CallCompleted(machine.now, call.id, 500, None))
    [again] = machine.feed(TimerFired(machine.now, retry.id))
    assert [again.idempotency_key] == keys
    assert again.id.endswith("[0]#2")


def test_taking_a_snapshot_changes_nothing() -> None:
    driver = Driver(parse(document({"do": [{"a": POST}, {"b": POST}]})))
    machine = driver.run({"n": 1})
    before = state(machine)
    machine.snapshot()
    assert state(machine) == before


def test_the_form_of_a_state_is_that_of_its_format() -> None:
    """Where this fails the fields of what is written have changed: raise ``FORMAT``, say in ``UPGRADES`` how the older
    form becomes the newer one, keep a history that begins at a snapshot of it in tests/replay/histories, and pin the
    new form with ``REGENERATE=1``."""
    frames = {each.frame for each in _below(Task)}
    assert len(frames) > len(TASKS)
    form = {kind.__name__: list(slots(kind)) for kind in (Machine, *KINDS.values(), *frames)}
    form |= {name: list(record.__dataclass_fields__) for name, record in RECORDS.items()}
    form |= {"Entry": list(ROW)}
    written = json.dumps({"format": FORMAT, "fields": form}, indent=1, sort_keys=True) + "\n"
    if os.environ.get("REGENERATE"):
        FORM.write_text(written)
    assert FORM.read_text() == written


def _below(kind: type[Any]) -> list[type[Any]]:
    found = [each for each in kind.__subclasses__() if hasattr(each, "frame")]
    return [*found, *(below for each in kind.__subclasses__() for below in _below(each))]
