"""Histories taken away from a running gateway, and those that older releases recorded, replay on today's machine."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from stagedoor.cli import main

HERE = Path(__file__).parent
KEPT = sorted((HERE / "histories").glob("*.json"))
Json = Any
Change = Callable[[Json], None]


def replay(capsys: pytest.CaptureFixture[str], *arguments: str | Path) -> tuple[int, Json]:
    code = main(["replay", "--json", *map(str, arguments)])
    return code, json.loads(capsys.readouterr().out)["histories"]


def test_there_are_histories_of_every_end() -> None:
    assert {json.loads(path.read_text())["status"] for path in KEPT} >= {"completed", "faulted", "cancelled"}


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_a_history_that_was_recorded_once_replays_for_ever(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    history = json.loads(path.read_text())
    code, [told] = replay(capsys, path)
    assert (code, told["same"], told["events"]) == (0, True, len(history["events"]))
    assert told["status"] == history["status"]
    assert told["pending"] == []


def drop(history: Json) -> None:
    del history["events"][0]


def other_call(history: Json) -> None:
    next(each for each in history["events"] if each["type"] == "CallCompleted")["data"]["call"] = "/do/9/none#1"


def other_output(history: Json) -> None:
    history["events"][-1]["data"]["output"] = 1


def new_step(history: Json) -> None:
    history["document"]["do"].append({"more": {"set": {"a": 1}}})


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (drop, "event 1 (CallCompleted): CallCompleted is out of place"),
        (other_call, "was never made"),
        (other_output, "ExecutionCompleted is not what this machine came to"),
        (new_step, "the execution began with another version of shop/order"),
    ],
)
def test_a_history_that_cannot_have_been_is_told_with_its_event(
    change: Change, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    history = json.loads((HERE / "histories" / "order_completed.json").read_text())
    change(history)
    file = tmp_path / "history.json"
    file.write_text(json.dumps(history))
    code, [told] = replay(capsys, file)
    assert (code, told["same"]) == (1, False)
    assert says in told["mismatch"]


@pytest.mark.parametrize(
    ("name", "change", "says"),
    [
        (
            "flow_migrated",
            {"type": "ExecutionMigrated", "definition": "0" * 64},
            "began with another version of test/flow",
        ),
        (
            "flow_restarted",
            {"type": "ExecutionRestarted", "task": "/do/2/charge"},
            "nothing was about to begin at /do/2",
        ),
        ("flow_restarted", {"type": "AttributesSet", "setting": "/do/9!attributes@1"}, "were never set"),
    ],
)
def test_a_word_that_was_changed_does_not_fit_its_history(
    name: str, change: Json, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    history = json.loads((HERE / "histories" / f"{name}.json").read_text())
    kind = change.pop("type")
    next(each for each in history["events"] if each["type"] == kind)["data"] |= change
    file = tmp_path / "history.json"
    file.write_text(json.dumps(history))
    code, [told] = replay(capsys, file)
    assert (code, told["same"]) == (1, False)
    assert says in told["mismatch"]


def test_another_document_can_be_tried_on_a_history(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = HERE / "histories" / "order_completed.json"
    document = json.loads(path.read_text())["document"]
    same, other = tmp_path / "same.yaml", tmp_path / "other.yaml"
    document["document"]["version"] = "1.0.1"
    same.write_text(json.dumps(document))
    document["do"][3]["notify"]["with"]["endpoint"] = "cluster://notification/letters"
    document["do"].insert(0, {"look": {"call": "http", "with": {"method": "get", "endpoint": "cluster://inventory/"}}})
    other.write_text(json.dumps(document))
    assert replay(capsys, path, "--workflow", same)[0] == 0
    code, [told] = replay(capsys, path, "--workflow", other)
    assert code == 1
    assert "was never made" in told["mismatch"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[", "is not JSON"),
        ("[]", "is not a recorded history"),
        ('{"document": {}, "events": []}', "its document cannot be run by this release"),
        ('{"document": {}, "events": [{"type": "X", "at": 1, "data": {}}]}', "events[0] is not an event"),
        ('{"document": {}, "events": [], "format": 3}', "has format 3, this release reads up to 2"),
        ('{"document": {}, "events": [], "format": 2}', "is of format 2 and has no 'snapshot'"),
    ],
)
def test_a_file_that_is_no_history_is_refused(
    text: str, says: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "history.json"
    file.write_text(text)
    assert main(["replay", str(file)]) == 1
    assert says in capsys.readouterr().err
