"""What sagas are known to get wrong, each by its name, through a gateway and a service that counts what it does."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import doors
import pytest
from flow import write
from hazard import FAILS, UNDO, Things, config, thing
from running import Answer, Gateway, until

Json = Any
REFUSED = {"call": "http", "with": {"method": "post", "endpoint": "cluster://patient/status/409"}}
NUMBERED = {"with": '${ {name: "loop-\\($n)"} }'}
FLOWS: dict[str, list[Json]] = {
    "empty": [{"a": thing("empty", "hasty")}],
    "hanging": [{"a": thing("hanging", "hasty")}],
    "double": [{"a": thing("double")}, {"fails": FAILS}],
    "late": [{"a": {**thing("late"), "timeout": {"after": {"milliseconds": 300}}}}],
    "recorded": [{"a": thing("recorded")}, {"fails": FAILS}],
    "racing": [{"a": thing("racing")}, {"fails": FAILS}],
    "cancelled": [{"a": thing("first")}, {"b": thing("second")}, {"fails": FAILS}],
    "loop": [
        {
            "each": {
                "for": {"each": "n", "in": "${ [0, 1, 2] }"},
                "do": [{"a": {**thing("loop-{n}", **NUMBERED), "input": {"from": "{n: $n}"}}}],
            }
        },
        {"fails": FAILS},
    ],
    "fork": [
        {
            "together": {
                "fork": {
                    "branches": [
                        {"good": thing("good")},
                        {"one": {"do": [{"made": thing("one")}, {"fails": REFUSED}]}},
                        {"two": {"do": [{"made": thing("two")}, {"fails": REFUSED}]}},
                    ]
                }
            }
        }
    ],
}


class Stage:
    """A gateway before the service, which may be lost and started anew."""

    def __init__(self, folder: Path, things: Things) -> None:
        self.folder, self.things = folder, things
        (folder / "stagedoor.yaml").write_text(config(things.port, list(FLOWS)))
        for name, do in FLOWS.items():
            write(folder, do, UNDO, name)
        self.gateway = Gateway(folder)

    def crash(self) -> None:
        self.gateway.kill()
        self.gateway = Gateway(self.folder)

    def begin(self, name: str) -> str:
        """The id of an execution."""
        return doors.begin(self.gateway, name)

    def shown(self, id: str) -> Json:
        return doors.shown(self.gateway, id)

    def ended(self, id: str) -> Json:
        return doors.ended(self.gateway, id)

    def say(self, id: str, verb: str, **words: str) -> Answer:
        return doors.order(self.gateway, id, verb, **words)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with Things() as things:
        stage = Stage(tmp_path_factory.mktemp("hazards"), things)
        yield stage
        stage.gateway.kill()


@pytest.fixture
def hold(stage: Stage) -> Iterator[Callable[..., threading.Event]]:
    """Holds requests for a thing, ``before`` or ``after`` their work, until the event is set."""
    events: list[threading.Event] = []

    def hold(where: str, method: str, name: str) -> threading.Event:
        events.append(event := threading.Event())
        getattr(stage.things, where)[method, name] = event
        return event

    yield hold
    for event in events:
        event.set()


Hold = Callable[[str, str, str], threading.Event]


def test_empty_compensation_what_was_never_done_is_undone_without_harm(stage: Stage) -> None:
    stage.things.lost["POST", "empty"] = 100
    ended = stage.ended(stage.begin("empty"))
    [entry] = ended["error"]["compensation"]["entries"]
    assert (entry["status"], entry["outcome"]) == ("compensated", "unknown")
    assert stage.things.states["empty"] == "void"
    assert [work for work in stage.things.work if work[1] == "empty"] == [("DELETE", "empty")]


def test_hanging_forward_call_one_that_arrives_after_its_undo_does_nothing(stage: Stage, hold: Hold) -> None:
    hanging = hold("before", "POST", "hanging")
    ended = stage.ended(stage.begin("hanging"))
    assert ended["error"]["status"] == 504
    assert ended["error"]["compensation"]["status"] == "complete"
    # One key for all of it: whoever is late is known for what it is.
    assert len(stage.things.keys("POST", "hanging")) == 3
    assert len(set(stage.things.keys("POST", "hanging"))) == 1
    hanging.set()
    until(lambda: stage.things.keys("POST", "hanging")[0] in stage.things.answered)
    assert stage.things.states["hanging"] == "void"
    assert stage.shown(ended["id"])["status"] == "faulted"


def test_double_delivery_the_same_request_twice_is_one_execution_and_one_undo(stage: Stage) -> None:
    stage.things.lost["POST", "double"] = 1
    stage.things.lost["DELETE", "double"] = 1
    with ThreadPoolExecutor(4) as clients:
        asked = [
            clients.submit(stage.gateway.request, "POST", "/double", {}, {"idempotency-key": "the-same"})
            for _ in range(4)
        ]
    answers = [each.result() for each in asked]
    assert {answer.status for answer in answers} == {422}
    assert [work for work in stage.things.work if work[1] == "double"] == [("POST", "double"), ("DELETE", "double")]
    assert len(stage.gateway.admin("/executions?workflow=test/double").json["executions"]) == 1


def test_late_answer_after_a_timeout_is_waited_for_and_undone(stage: Stage, hold: Hold) -> None:
    late = hold("after", "POST", "late")
    id = stage.begin("late")
    until(lambda: any("waits for the answer" in reason["text"] for reason in stage.shown(id)["waiting"]))
    until(lambda: [entry["outcome"] for entry in stage.shown(id)["timeline"]] == ["unknown"])
    assert stage.things.keys("DELETE", "late") == []
    late.set()
    ended = stage.ended(id)
    assert ended["error"]["status"] == 408
    [entry] = ended["error"]["compensation"]["entries"]
    assert entry["status"] == "compensated"
    assert "outcome" not in entry, "the answer tells that it was done"
    assert stage.things.states["late"] == "gone"


def test_crash_between_undo_and_its_record_the_undo_is_asked_for_again_with_its_key(stage: Stage, hold: Hold) -> None:
    done = hold("after", "DELETE", "recorded")
    id = stage.begin("recorded")
    until(lambda: ("DELETE", "recorded") in stage.things.work)
    stage.crash()
    until(lambda: len(stage.things.keys("DELETE", "recorded")) == 2)
    done.set()
    assert stage.ended(id)["error"]["compensation"]["status"] == "complete"
    assert len(set(stage.things.keys("DELETE", "recorded"))) == 1
    assert stage.things.work.count(("DELETE", "recorded")) == 1


def test_operator_action_racing_with_a_retry_one_word_counts(stage: Stage, hold: Hold) -> None:
    stage.things.refused["DELETE", "racing"] = 2
    id = stage.begin("racing")
    [incident] = until(lambda: stage.shown(id)["incidents"])
    # The retry that one operator asks for is under way while the others speak.
    held = hold("before", "DELETE", "racing")
    with ThreadPoolExecutor(6) as operators:
        words = ["retry", "skip", "done", "retry", "skip", "done"]
        said = [operators.submit(stage.say, id, f"incidents/{incident['id']}", action=word) for word in words]
    accepted = [word for word, each in zip(words, said, strict=True) if each.result().status < 300]
    assert len(accepted) == 1
    assert {each.result().status for each in said} == {202, 409}
    held.set()
    [entry] = stage.ended(id)["error"]["compensation"]["entries"]
    assert entry["status"] == {"retry": "compensated", "skip": "skipped", "done": "done"}[accepted[0]]
    assert stage.things.work.count(("DELETE", "racing")) == (accepted == ["retry"])


def test_cancel_during_undo_changes_nothing(stage: Stage, hold: Hold) -> None:
    held = hold("before", "DELETE", "second")
    id = stage.begin("cancelled")
    until(lambda: stage.things.keys("DELETE", "second"))
    assert stage.say(id, "cancel").status == 409
    held.set()
    ended = stage.ended(id)
    assert (ended["status"], ended["error"]["status"]) == ("faulted", 422)
    assert ended["error"]["compensation"]["status"] == "complete"
    undone = [name for method, name in stage.things.work if method == "DELETE" and name in ("first", "second")]
    assert undone == ["second", "first"]


def test_undo_of_a_loop_interrupted_half_way_goes_on_where_it_was(stage: Stage, hold: Hold) -> None:
    held = hold("before", "DELETE", "loop-1")
    id = stage.begin("loop")
    until(lambda: stage.things.keys("DELETE", "loop-1"))
    stage.crash()
    until(lambda: len(stage.things.keys("DELETE", "loop-1")) == 2)
    held.set()
    assert stage.ended(id)["error"]["compensation"]["status"] == "complete"
    assert [work for work in stage.things.work if work[1].startswith("loop-")] == [
        *(("POST", f"loop-{n}") for n in (0, 1, 2)),
        *(("DELETE", f"loop-{n}") for n in (2, 1, 0)),
    ]
    assert len(stage.things.keys("DELETE", "loop-2")) == 1


def test_fork_whose_branches_fail_together_is_undone_once(stage: Stage, hold: Hold) -> None:
    made = [hold("after", "POST", name) for name in ("good", "one", "two")]
    id = stage.begin("fork")
    until(lambda: all(stage.things.states.get(name) == "live" for name in ("good", "one", "two")))
    for event in made:
        event.set()
    ended = stage.ended(id)
    assert ended["error"]["status"] == 409
    entries = ended["error"]["compensation"]["entries"]
    assert sorted(entry["status"] for entry in entries) == ["compensated"] * 3
    for name in ("good", "one", "two"):
        assert stage.things.states[name] == "gone"
        assert stage.things.work.count(("DELETE", name)) == 1
