"""What the machine promises to those who drive it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scenario import document
from stagedoor.errors import InvalidDefinition
from stagedoor.workflow.commands import Call, Complete, Fault, RegisterCompensation
from stagedoor.workflow.error import ReplayMismatch
from stagedoor.workflow.events import (
    RULES,
    CallCompleted,
    CancelRequested,
    CompensationRegistered,
    EventReceived,
    ExecutionCancelled,
    ExecutionCompleted,
    ExecutionFaulted,
    ExecutionStarted,
    IncidentOpened,
    IncidentResolved,
    SuspendRequested,
    TimerFired,
    TurnTaken,
    UndoRequested,
)
from stagedoor.workflow.machine import Machine
from stagedoor.workflow.parse import parse
from virtual import Driver

POST = {"call": "http", "with": {"method": "post", "endpoint": "cluster://s/a", "body": "${ . }"}}
UNDO = {"undo": {"call": "http", "with": {"method": "post", "endpoint": "cluster://s/undo", "body": "${ . }"}}}


def machine(*tasks: dict[str, Any], input: Any = None, use: Any = None) -> tuple[Machine, list[Any]]:
    case = {"do": list(tasks)} if use is None else {"do": list(tasks), "use": use}
    definition = parse(document(case))
    started = Machine(definition)
    return started, started.feed(ExecutionStarted(1.0, "e1", definition.hash, input))


def texts(started: Machine) -> list[str]:
    return [reason.text() for reason in started.waiting()]


def test_the_hash_does_not_depend_on_the_order_of_keys() -> None:
    one = parse({"document": {"dsl": "1.0.3", "namespace": "n", "name": "x", "version": "1.0.0"}, "do": [{"a": POST}]})
    two = parse({"do": [{"a": POST}], "document": {"version": "1.0.0", "name": "x", "namespace": "n", "dsl": "1.0.3"}})
    assert one.hash == two.hash
    assert len(one.hash) == 64
    assert one.key == "n/x"


def test_a_definition_knows_what_it_calls() -> None:
    calls = [
        {"a": POST},
        {"b": {"call": "http", "with": {"method": "get", "endpoint": "https://api.example.com:8443/x/{id}"}}},
        {"c": {"call": "http", "with": {"method": "get", "endpoint": "${ .where }"}}},
        {"d": {"call": "undo"}},
    ]
    functions = {"undo": {"call": "http", "with": {"method": "post", "endpoint": "cluster://other/undo"}}}
    definition = parse(document({"do": calls, "use": {"functions": functions}}))
    assert definition.clusters == {"s", "other"}
    assert definition.hosts == {"https://api.example.com:8443"}
    assert definition.computed_endpoints == ("/do/2/c",)


def test_an_expression_inside_other_text_is_a_warning() -> None:
    definition = parse(document({"do": [{"a": {"set": {"text": "Hello ${ .name }, hi"}}}]}))
    assert [problem.path for problem in definition.warnings] == [("do", 0, "a", "set", "text")]


@pytest.mark.parametrize("text", ["", "hello", ".name", "$input", "x ${ .name }"])
def test_set_takes_any_text_and_warns_of_what_is_no_expression(text: str) -> None:
    definition = parse(document({"do": [{"a": {"set": text}}]}))
    assert [problem.path for problem in definition.warnings] == [("do", 0, "a", "set")]
    started = Machine(definition)
    assert started.feed(ExecutionStarted(1.0, "e1", definition.hash, {"name": 1})) == [Complete(text)]


def test_text_that_can_only_be_meant_as_an_expression_is_a_warning() -> None:
    looks = {
        "a": "$context.x",
        "b": [" $input ", "$item.name"],
        "c": {"d": '$workflow.input["n"]', "e": "$task | .name"},
    }
    plain = {
        "f": [
            "$5.00",
            "$",
            "$HOME/bin",
            "$x",
            "$contxt.x",
            "$item costs 5",
            "$input. It",
            "a $item",
            "US$",
            "$item.",
            "$$",
        ],
        "g": "${ $item }",
    }
    loop = {"for": {"in": "[1]"}, "do": [{"b": {"set": looks | plain}}]}
    wanted = {"type": "t", "subject": "$context.id", "data": {"n": "$input.n", "price": "$5"}}
    order = {"from": ".data.order", "expect": "$context.order"}
    heard = {"listen": {"to": {"one": {"with": wanted, "correlate": {"order": order}}}}}
    sent = POST["with"] | {"headers": {"x": "$context.x"}, "body": "$input"}
    definition = parse(document({"do": [{"a": loop}, {"l": heard}, {"c": {"call": "http", "with": sent}}]}))
    at = ("do", 0, "a", "do", 0, "b", "set")
    listener = ("do", 1, "l", "listen", "to", "one")
    called = ("do", 2, "c", "with")
    assert [problem.path for problem in definition.warnings] == [
        *((*at, "a"), (*at, "b", 0), (*at, "b", 1), (*at, "c", "d"), (*at, "c", "e")),
        *(
            (*listener, "with", "subject"),
            (*listener, "with", "data", "n"),
            (*listener, "correlate", "order", "expect"),
        ),
        *((*called, "headers", "x"), (*called, "body")),
    ]
    assert definition.warnings[0].message == "'$context.x' is taken literally"
    assert definition.warnings[0].hint == "${ $context.x } is an expression"


@pytest.mark.parametrize("odd", ["\ud800", {"\udfff": 1}, 10**4000], ids=["half", "key", "long"])
def test_what_an_expression_cannot_hold_is_its_error(odd: Any) -> None:
    definition = parse(document({"do": [{"s": {"set": {"v": "${ .x }"}}}]}))
    started = Machine(definition)
    [fault] = started.feed(ExecutionStarted(1.0, "e1", definition.hash, {"x": odd}))
    assert isinstance(fault, Fault)
    assert (fault.error["status"], fault.error["title"]) == (400, "Expression failed")


def test_what_ends_a_listener_correlates_by_the_rules_that_the_execution_began_with() -> None:
    """Before rules 4 any event of the type ended it."""
    order = {"correlate": {"order": {"from": ".order"}}}
    until = {"one": {"with": {"type": "stop"}, **order}}
    listen = {"listen": {"to": {"any": [{"with": {"type": "a"}, **order}], "until": until}}}
    definition = parse(document({"do": [{"l": listen}]}))
    event = {"specversion": "1.0", "source": "/s"}
    for rules, status in ((3, "completed"), (4, "waiting")):
        started = Machine(definition)
        [listener] = started.feed(ExecutionStarted(1.0, "e1", definition.hash, None, engine=rules))
        for id, kind, number in (("1", "a", 1), ("2", "stop", 2)):
            sent = {**event, "id": id, "type": kind, "data": {"order": number}}
            if started.wants(listener.id, sent):
                started.feed(EventReceived(2.0, listener.id, sent))
        assert started.status == status


def test_a_history_of_another_definition_is_refused() -> None:
    definition = parse(document({"do": [{"a": POST}]}))
    with pytest.raises(ReplayMismatch, match="another version"):
        Machine(definition).feed(ExecutionStarted(1.0, "e1", "0" * 64, None))


def test_a_history_of_later_rules_is_refused() -> None:
    definition = parse(document({"do": [{"a": POST}]}))
    with pytest.raises(ReplayMismatch, match=f"rules {RULES + 1}"):
        Machine(definition).feed(ExecutionStarted(1.0, "e1", definition.hash, None, engine=RULES + 1))


def test_an_execution_goes_on_by_the_rules_that_it_began_with() -> None:
    """In rules 1 a block that was tried in vain was done, where ``catch`` had no ``do``."""
    retry = {"retry": {"delay": "PT1S", "limit": {"attempt": {"count": 1}}}}
    definition = parse(document({"do": [{"t": {"try": [{"a": POST}], "catch": retry}}]}))
    for rules, status in ((1, "completed"), (2, "faulted")):
        old = Machine(definition)
        old.feed(ExecutionStarted(1.0, "e1", definition.hash, None, engine=rules))
        old.feed(CallCompleted(2.0, "/do/0/t/try/0/a#1", 503, None))
        old.feed(TimerFired(3.0, "/do/0/t!retry@1"))
        old.feed(CallCompleted(4.0, "/do/0/t/try/0/a#2", 503, None))
        assert old.status == status


def test_before_rules_3_an_expression_could_not_yield_months() -> None:
    definition = parse(document({"do": [{"a": {"wait": "${ .for }"}}, {"b": {"wait": "P1M"}}]}))
    for rules, status in ((2, "faulted"), (3, "waiting")):
        old = Machine(definition)
        old.feed(ExecutionStarted(1.0, "e1", definition.hash, {"for": "P1M"}, engine=rules))
        assert old.status == status
        assert (old.error or {"title": "Not a duration"})["title"] == "Not a duration"


def test_an_execution_is_started_once_and_first() -> None:
    started, _ = machine({"a": POST})
    with pytest.raises(ReplayMismatch, match="out of place"):
        started.feed(ExecutionStarted(1.0, "e1", started.definition.hash, None))
    with pytest.raises(ReplayMismatch, match="out of place"):
        Machine(started.definition).feed(CallCompleted(1.0, "/do/0/a#1", 200, None))


@pytest.mark.parametrize(
    "event",
    [
        CallCompleted(2.0, "/do/0/a#2", 200, None),
        CallCompleted(2.0, "/do/9/x#1", 200, None),
        CallCompleted(2.0, "nonsense", 200, None),
        TimerFired(2.0, "/do/0/a@1"),
        CompensationRegistered(2.0, "/do/0/a", None),
        IncidentOpened(2.0, "/do/0/a!1", "/do/0/a", {}, None),
        IncidentResolved(2.0, "/do/0/a!1", "skip", "ann", "why"),
        ExecutionCompleted(2.0, {}),
        ExecutionFaulted(2.0, {}, {}),
        ExecutionCancelled(2.0, "why", {}),
    ],
    ids=lambda event: f"{type(event).__name__} {getattr(event, 'call', '')}".strip(),
)
def test_an_event_that_cannot_have_happened_is_refused(event: Any) -> None:
    started, _ = machine({"a": POST})
    with pytest.raises(ReplayMismatch):
        started.feed(event)


def test_an_outcome_that_differs_from_the_machine_s_own_is_refused() -> None:
    done, commands = machine({"a": {"set": {"n": 1}}})
    assert commands == [Complete({"n": 1})]
    with pytest.raises(ReplayMismatch, match="not what this machine came to"):
        done.feed(ExecutionCompleted(2.0, {"n": 2}))
    assert done.pending() == [Complete({"n": 1})]
    done.feed(ExecutionCompleted(2.0, {"n": 1}))
    assert done.pending() == []


def test_the_log_s_arguments_of_an_undo_count() -> None:
    task = {**POST, "metadata": {"stagedoor/compensate": {"use": "undo"}}}
    started, _ = machine({"a": task}, {"b": POST}, use={"functions": UNDO})
    commands = started.feed(CallCompleted(2.0, "/do/0/a#1", 200, {"id": 1}))
    assert commands[0] == RegisterCompensation("/do/0/a", {"id": 1})
    assert started.feed(CompensationRegistered(2.0, "/do/0/a", {"id": 2})) == []
    undo = started.feed(CallCompleted(3.0, "/do/1/b#1", 500, None))[0]
    assert isinstance(undo, Call)
    assert undo.body == {"id": 2}


def test_a_registration_that_is_not_in_the_log_is_pending() -> None:
    task = {**POST, "metadata": {"stagedoor/compensate": {"use": "undo"}}}
    started, _ = machine({"a": task}, {"b": POST}, use={"functions": UNDO})
    started.feed(CallCompleted(2.0, "/do/0/a#1", 200, {"id": 1}))
    assert [type(command) for command in started.pending()] == [RegisterCompensation, Call]
    started.feed(CompensationRegistered(2.0, "/do/0/a", {"id": 1}))
    assert [type(command) for command in started.pending()] == [Call]


def test_an_answer_after_the_end_changes_nothing() -> None:
    started, _ = machine({"f": {"fork": {"compete": True, "branches": [{"a": POST}, {"b": {"set": {"n": 1}}}]}}})
    assert started.status == "completed"
    assert started.feed(CallCompleted(2.0, "/do/0/f/fork/branches/0/a#1", 200, None)) == []
    assert started.feed(CancelRequested(2.0, "late")) == []
    assert started.status == "completed"


def test_the_status_follows_the_execution() -> None:
    definition = parse(document({"do": [{"a": POST}, {"b": {"wait": "PT1S"}}]}))
    new = Machine(definition)
    assert new.status == "pending"
    new.feed(ExecutionStarted(1.0, "e1", definition.hash, None))
    assert new.status == "running"
    assert texts(new) == ["/do/0/a waits for the answer to POST cluster://s/a"]
    new.feed(CallCompleted(2.0, "/do/0/a#1", 200, None))
    assert new.status == "waiting"
    assert texts(new) == ["/do/1/b waits until 1970-01-01T00:00:03.000Z"]
    new.feed(TimerFired(3.0, "/do/1/b@1"))
    assert new.status == "completed"
    assert new.waiting() == []


def test_a_name_beyond_ascii_gives_a_key_that_a_header_can_carry() -> None:
    _, commands = machine({"réserver un vélo": POST})
    assert commands[0].idempotency_key == "e1/do/0/r%C3%A9server%20un%20v%C3%A9lo"
    _, commands = machine({"x" * 300: POST})
    assert len(commands[0].idempotency_key) < 100


def test_data_that_is_shared_between_branches_is_never_changed() -> None:
    data = {"list": [1, 2]}
    branches = [{"a": {"set": "${ .list += [3] | . }"}}, {"b": {"set": "${ . }"}}]
    done, _ = machine({"f": {"fork": {"branches": branches}}}, input=data)
    assert done.output == [{"list": [1, 2, 3]}, {"list": [1, 2]}]
    assert data == {"list": [1, 2]}


def nested(depth: int) -> dict[str, Any]:
    task: dict[str, Any] = {"set": {"n": 1}}
    for _ in range(depth):
        task = {"do": [{"a": task}]}
    return task


def test_tasks_can_be_nested_deeply_but_not_without_end() -> None:
    done, _ = machine({"a": nested(31)})
    assert done.status == "completed"
    with pytest.raises(InvalidDefinition, match="nested deeper"):
        machine({"a": nested(40)})
    with pytest.raises(InvalidDefinition, match="nested deeper than 100"):
        machine({"a": nested(5000)})


def test_functions_that_multiply_are_bounded() -> None:
    functions: dict[str, Any] = {"f0": {"set": {"n": 1}}}
    for index in range(1, 20):
        functions[f"f{index}"] = {"do": [{str(i): {"call": f"f{index - 1}"}} for i in range(4)]}
    with pytest.raises(InvalidDefinition, match="more than 5000 tasks"):
        machine({"a": {"call": "f19"}}, use={"functions": functions})


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0, 10), min_size=8, max_size=8))
def test_any_interleaving_of_parallel_branches_gives_the_same_result(delays: list[float]) -> None:
    branches = [
        {
            f"b{index}": {
                "do": [
                    {f"x{index}": {**POST, "export": {"as": f"$context + {{k{index}: {index}, last: {index}}}"}}},
                    {f"y{index}": POST},
                ]
            }
        }
        for index in range(4)
    ]
    after = {"set": {"context": "${ $context }", "out": "${ . }"}}
    tasks = [{"f": {"fork": {"branches": branches}}}, {"after": after}]
    names = [name for index in range(4) for name in (f"x{index}", f"y{index}")]
    answers = {
        name: [{"status": 200, "content": name, "after": after}] for name, after in zip(names, delays, strict=True)
    }
    done = Driver(parse(document({"do": tasks})), answers).run(None)
    assert done.output == {
        "context": {"k0": 0, "k1": 1, "k2": 2, "k3": 3, "last": 3},
        "out": ["y0", "y1", "y2", "y3"],
    }


def test_a_fault_carries_the_original_error_and_the_report() -> None:
    _, commands = machine({"a": {"raise": {"error": {"type": "about:blank", "status": 418}}}})
    error = {"type": "about:blank", "status": 418, "instance": "/do/0/a"}
    assert commands == [Fault(error, {"status": "none", "entries": []})]


def test_what_has_completed_is_undone_once_whoever_ran_it_asks_for_it() -> None:
    undone = {"metadata": {"stagedoor/compensate": {"use": "undo"}}}
    definition = parse(document({"do": [{"a": {**undone, **POST}}], "use": {"functions": UNDO}}))
    child = Machine(definition)
    request = UndoRequested(5.0, "no more", "/do/0/run!undo@1", "e0")
    child.feed(ExecutionStarted(1.0, "e1", definition.hash, 7, parent={"execution": "e0", "run": "r", "depth": 1}))
    with pytest.raises(ReplayMismatch, match="only what has completed"):
        child.feed(request)
    # Whoever held it does not hold its undo.
    child.feed(SuspendRequested(2.0, "look", "ann"))
    [register, complete] = child.feed(CallCompleted(3.0, "/do/0/a#1", 200, {"id": 1}))
    assert isinstance(register, RegisterCompensation)
    assert complete == Complete({"id": 1}, "due")
    child.feed(CompensationRegistered(3.0, "/do/0/a", {"id": 1}))
    with pytest.raises(ReplayMismatch, match="only what has completed"):
        child.feed(request)
    child.feed(ExecutionCompleted(4.0, {"id": 1}, "due"))
    [call] = child.feed(request)
    assert (call.compensates, call.body, child.status) == ("/do/0/a", {"id": 1}, "running")
    [cancel] = Machine.restore(definition, child.snapshot()).feed(CallCompleted(6.0, call.id, 200, {}))
    assert (cancel.reason, cancel.compensation["status"]) == ("no more", "complete")
    with pytest.raises(ReplayMismatch, match="only what has completed"):
        child.feed(request)


def test_an_execution_that_nobody_runs_does_not_say_what_could_be_undone() -> None:
    undone = {"metadata": {"stagedoor/compensate": {"use": "undo"}}}
    alone, _ = machine({"a": {**undone, **POST}}, use={"functions": UNDO})
    assert alone.feed(CallCompleted(3.0, "/do/0/a#1", 200, 1))[-1] == Complete(1)


def test_the_call_of_a_loser_that_was_not_waited_for_is_undone_with_the_workflow() -> None:
    undone = {"metadata": {"stagedoor/compensate": {"use": "undo", "with": "${ $outcome }"}}}
    race = {"fork": {"compete": True, "branches": [{"a": {**undone, **POST}}, {"b": {"wait": "PT1S"}}]}}
    definition = parse(document({"do": [{"race": race}], "use": {"functions": UNDO}}))
    child = Machine(definition)
    parent = {"execution": "e0", "run": "r", "depth": 1}
    [call, timer] = child.feed(ExecutionStarted(1.0, "e1", definition.hash, 7, parent=parent))
    [dropped, register, complete] = child.feed(TimerFired(2.0, timer.id))
    assert (dropped.id, register.arguments, complete.undo) == (call.id, "unknown", "due")
    child.feed(CompensationRegistered(2.0, register.task, "unknown"))
    child.feed(ExecutionCompleted(2.0, 7, "due"))
    [undo] = child.feed(UndoRequested(5.0, "no more", "/do/0/run!undo@1", "e0"))
    assert (undo.compensates, undo.body) == (call.task, "unknown")


@pytest.mark.parametrize("taken", [False, True])
def test_what_completes_while_a_loser_waits_for_its_turn_can_be_undone(taken: bool) -> None:
    endless = {"do": [{"x": {"set": {"k": 1}}}, {"y": {"set": {"k": 2}, "then": "x"}}]}
    race = {"fork": {"compete": True, "branches": [{"a": POST}, {"b": endless}]}}
    done = {**POST, "metadata": {"stagedoor/compensate": {"use": "undo"}}}
    run, _ = machine({"done": done}, {"race": race}, use={"functions": UNDO})
    run.feed(CallCompleted(2.0, "/do/0/done#1", 200, {}, {}))
    run.feed(CompensationRegistered(2.0, "/do/0/done", {}))
    [complete] = run.feed(CallCompleted(3.0, "/do/1/race/fork/branches/0/a#1", 200, {}, {}))
    assert isinstance(complete, Complete)
    if taken:
        # It was on its way into the log.
        assert run.feed(TurnTaken(3.0, "turn@1")) == []
    run.feed(ExecutionCompleted(4.0, complete.output, complete.undo))
    [undo] = run.feed(UndoRequested(5.0, "not wanted any more", "r", "p"))
    assert isinstance(undo, Call)
    assert undo.compensates == "/do/0/done"
