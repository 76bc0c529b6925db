"""What holds of every document, whatever services answer and in whichever order."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Any

import grammar
from hypothesis import given, settings
from hypothesis import strategies as st
from scenario import document
from stagedoor.engine.record import decode, encode
from stagedoor.workflow.commands import Command
from stagedoor.workflow.machine import Machine
from stagedoor.workflow.parse import parse
from virtual import MAX_EVENTS, Driver, task_name

Json = Any
ANSWER = st.builds(
    lambda answer, after: {**answer, "after": after},
    st.sampled_from(
        [
            *({"status": status} for status in (200, 201, 204, 302, 404, 409, 503)),
            *({"status": 200, "content": content} for content in ({"n": 1}, [1], "text", None)),
            *({"unknown": 504}, {"failed": 503}),
        ]
    ),
    st.floats(0, 4),
)
ARRIVAL = st.builds(
    lambda type, data, after: {"type": type, "subject": "sub", "data": data, "after": after},
    st.sampled_from("ab"),
    st.sampled_from([1, {"n": 1}, None]),
    st.floats(0, 9),
)
FAULTED = {"status": "faulted", "end": {"error": {"status": 409}}}
RUN = st.sampled_from(
    [{}, {"code": 1}, {"failed": "Too slow"}, {"after": 5}, {"status": "faulted", "end": {"error": {"status": 409}}}]
)


class Anything(Driver):
    """Every call is answered by the next of some answers, and so is every process and workflow that is run."""

    def __init__(self, definition: Any, answers: list[Json], runs: list[Json], **rest: Any) -> None:
        super().__init__(definition, **rest)
        self.turns, self.runs = answers, runs

    def _answer(self, call: Any) -> None:
        name = task_name(call)
        self._used.pop(name, None)
        self.answers[name] = [self.turns[len(self.log) % len(self.turns)]]
        super()._answer(call)

    def _run(self, command: Any) -> None:
        name = command.task.rpartition("/")[2]
        self._used.pop(name, None)
        self.answers[name] = [self.runs[len(self.log) % len(self.runs)]]
        super()._run(command)


def written(commands: list[Command]) -> bytes:
    return json.dumps([[type(command).__name__, asdict(command)] for command in commands]).encode()


def fed_again(driver: Driver) -> bytes:
    """The commands of a machine that reads the history as the log has it."""
    machine, again = Machine(driver.definition), []
    for event in driver.log:
        again += machine.feed(decode(type(event).__name__, event.at, encode(event)))
    assert machine.status == driver.machine.status
    assert machine.timeline() == driver.machine.timeline()
    return written(again)


@settings(max_examples=300, deadline=None)
@given(
    grammar.documents(),
    st.sampled_from([None, {"n": 1}, {"n": 2, "list": [1, 2], "pause": "PT1S"}, [1]]),
    st.lists(ANSWER, min_size=1, max_size=5),
    st.lists(RUN, min_size=1, max_size=3),
    st.lists(ARRIVAL, max_size=4),
    st.sampled_from([None, None, 0, 0.5, 4]),
    st.sampled_from([None, None, {"after": 0.2}, {"after": 1, "until": 6}]),
)
def test_any_document_is_accepted_and_run_to_an_end_and_its_history_gives_the_same_commands(
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
    machine = driver.run(input)
    assert len(driver.log) < MAX_EVENTS
    assert machine.status in {"completed", "faulted", "cancelled", "waiting", "suspended"}
    assert machine.status in {"completed", "faulted", "cancelled"} or machine.waiting()
    assert fed_again(driver) == written(driver.commands)


@st.composite
def branches(draw: st.DrawFn) -> list[Json]:
    """Lists of calls and exports, none of which fails."""
    made = []
    for branch in range(draw(st.integers(2, 4))):
        steps = []
        for step in range(draw(st.integers(1, 3))):
            name = f"b{branch}s{step}"
            post = {"call": "http", "with": {"method": "post", "endpoint": f"cluster://s/{name}"}}
            rest = {"wait": {"milliseconds": draw(st.integers(0, 3000))}}
            exported = {"export": {"as": f"${{ $context + {{{name}: 1}} }}"}} if draw(st.booleans()) else {}
            steps.append({name: {**draw(st.sampled_from([post, post, rest])), **exported}})
        made.append({f"b{branch}": {"do": steps}})
    return made


def forked(branches: list[Json], times: list[float], compete: bool = False) -> Driver:
    """Runs them, each call taking its time."""
    names = [name for branch in branches for body in branch.values() for step in body["do"] for name in step]
    answers = {
        name: [{"status": 200, "content": {"by": name}, "after": times[number % len(times)]}]
        for number, name in enumerate(names)
    }
    both = {"fork": {"branches": branches, "compete": compete}}
    shown = {"set": {"output": "${ . }", "context": "${ $context }"}}
    driver = Driver(parse(document({"do": [{"f": both}, {"shown": shown}]})), answers)
    driver.run({"n": 1})
    assert driver.machine.status == "completed"
    assert fed_again(driver) == written(driver.commands)
    return driver


TIMES = st.lists(st.sampled_from([0.0, 0.01, 0.5, 1.0, 2.5]), min_size=12, max_size=12)


@settings(max_examples=120, deadline=None)
@given(branches(), TIMES, TIMES)
def test_the_order_in_which_branches_complete_makes_no_difference(
    made: list[Json], one: list[float], two: list[float]
) -> None:
    first, second = forked(made, one), forked(made, two)
    assert first.machine.output == second.machine.output
    assert len(first.machine.output["output"]) == len(made)


@settings(max_examples=120, deadline=None)
@given(branches(), TIMES)
def test_a_race_is_won_by_the_branch_that_completed_first(made: list[Json], times: list[float]) -> None:
    driver = forked(made, times, compete=True)
    entries = [entry for entry in driver.machine.timeline() if entry["name"] in {f"b{n}" for n in range(4)}]
    [winner] = [entry for entry in entries if entry["outcome"] == "completed"]
    assert all(entry["outcome"] == "cancelled" for entry in entries if entry is not winner)
    alone = [branch for branch in made if winner["name"] in branch]
    assert driver.machine.output["output"] == forked(alone, times_of(alone, made, times)).machine.output["output"][0]


def times_of(alone: list[Json], made: list[Json], times: list[float]) -> list[float]:
    """The times that the calls of one branch had among those of all."""
    names = [name for branch in made for body in branch.values() for step in body["do"] for name in step]
    return [times[names.index(name) % len(times)] for body in alone[0].values() for step in body["do"] for name in step]
