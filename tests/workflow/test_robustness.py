"""Whatever a document says and whatever services answer: a definition or located problems, commands or a fault."""

from __future__ import annotations

import copy
from typing import Any

from collection import own
from hypothesis import given, settings
from hypothesis import strategies as st
from scenario import RESOURCES, document
from stagedoor.errors import InvalidDefinition
from stagedoor.workflow.machine import Machine
from stagedoor.workflow.parse import parse
from virtual import Driver

CASES = [case for _, case in own()]
WHOLE = [document(case) for case in CASES]
JUNK = st.sampled_from(
    [
        None,
        True,
        0,
        -1,
        1e300,
        "",
        "x",
        "${",
        "${ . }",
        "${ .a.b }",
        [],
        [1],
        {},
        {"a": 1},
        {"do": []},
        [{"a": {}}],
        "end",
    ]
)


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    below = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, item in below for place in places(item, (*path, key)))]


def damaged(whole: Any, path: tuple[Any, ...], junk: Any, how: str) -> Any:
    if not path:
        return junk
    whole = copy.deepcopy(whole)
    inside = whole
    for key in path[:-1]:
        inside = inside[key]
    if how == "replace":
        inside[path[-1]] = junk
    elif how == "remove":
        del inside[path[-1]]
    elif isinstance(inside, dict):
        inside[f"{path[-1]}x"] = inside.pop(path[-1])
    else:
        inside.append(junk)
    return whole


@settings(max_examples=600, deadline=None)
@given(st.data(), JUNK, st.sampled_from(["replace", "remove", "rename"]))
def test_a_damaged_document_is_parsed_or_refused_with_problems(data: st.DataObject, junk: Any, how: str) -> None:
    whole = data.draw(st.sampled_from(WHOLE))
    path = data.draw(st.sampled_from(places(whole)))
    try:
        definition = parse(damaged(whole, path, junk, how), RESOURCES)
    except InvalidDefinition as error:
        refused = error
    else:
        Driver(definition).run({"n": 1})
        return
    assert [problem for problem in refused.problems if problem.severity == "error"]


ANSWER = st.one_of(
    st.sampled_from([200, 201, 204, 302, 400, 404, 409, 429, 500, 503]).map(lambda status: {"status": status}),
    st.sampled_from([{"unknown": 504}, {"failed": 503}]),
    JUNK.map(lambda content: {"status": 200, "content": content}),
).flatmap(lambda answer: st.floats(0, 3).map(lambda after: {**answer, "after": after}))
WORD = st.sampled_from(["retry", "skip", "done", "edit"]).map(lambda action: {"action": action, "arguments": {"id": 1}})


@settings(max_examples=250, deadline=None)
@given(
    st.sampled_from(range(len(CASES))),
    st.lists(ANSWER, min_size=1, max_size=6),
    st.lists(WORD, max_size=3),
    st.one_of(st.none(), st.floats(0, 5)),
)
def test_whatever_is_answered_every_prefix_of_the_history_replays(
    number: int, answers: list[Any], words: list[Any], cancel: float | None
) -> None:
    class Anything(Driver):
        def _answer(self, call: Any) -> None:
            self.answers = {key: answers[len(self.log) % len(answers) :] for key in [name(call)]}
            super()._answer(call)

    from virtual import task_name as name

    case = CASES[number]
    if "circles" in case["case"] or "endless" in case["case"] or "never waits" in case["case"]:
        return
    request = None if cancel is None else {"after": cancel, "reason": "enough"}
    driver = Anything(parse(WHOLE[number], RESOURCES), {}, list(words), request, case.get("events", []))
    driver.run(case.get("input"))
    assert driver.machine.status != "running" or len(driver.log) >= 500
    for length in range(1, len(driver.log) + 1, max(1, len(driver.log) // 15)):
        machine = Machine(driver.definition)
        for event in driver.log[:length]:
            machine.feed(event)
        assert machine.pending() == driver.owed[length - 1]
