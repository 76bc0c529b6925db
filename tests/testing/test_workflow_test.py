"""``stagedoor workflow test`` as authors run it, and the pytest plugin that runs the same files."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from stagedoor.cli import main

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CASES = sorted([*(HERE / "cases").glob("*.test.yaml"), *(ROOT / "examples").rglob("*.test.yaml")])
BROKEN = YAML(typ="safe", pure=True).load((HERE / "broken" / "files.yaml").read_text())


@dataclass
class Done:
    code: int
    out: str
    err: str


Run = Callable[..., Done]


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Run:
    """The command in this process: it starts ten times as fast."""

    def run(*arguments: str | Path) -> Done:
        code = main(["workflow", *map(str, arguments)])
        return Done(code, *capsys.readouterr())

    return run


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copy(HERE / "cases" / "waiting.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_every_file_of_cases_passes_with_a_crash_after_every_event(run: Run) -> None:
    done = run("test", "--crash-everywhere", "--json", *CASES)
    told = json.loads(done.out)
    assert (done.code, told["failed"]) == (0, 0), [each for each in told["cases"] if not each["passed"]]
    assert all(each["crashes"] == each["events"] for each in told["cases"])


def test_a_case_is_chosen_by_its_name_and_told_with_its_virtual_time(run: Run) -> None:
    done = run("test", "-k", "a year", HERE / "cases" / "waiting.test.yaml")
    assert done.code == 0
    assert "✓ a year passes at once  waiting.test.yaml: 3 calls, 365 days" in done.out
    assert done.out.splitlines()[-1].startswith("1 passed, 0 failed")
    assert run("test", "-k", "nothing", HERE / "cases" / "waiting.test.yaml").code == 1


@pytest.mark.parametrize(
    ("expect", "said"),
    [
        ({"output": {"mail": "x", "room": "7"}}, ["output.mail", 'expected "x"', 'found    "sent"']),
        ({"status": "faulted"}, ["status", 'expected "faulted"', 'found    "completed"']),
        ({"calls": ["book"]}, ["calls", '"charge: POST cluster://pay/charges"']),
        ({"calls": ["book", {"body": {"room": 8}}, "thank"]}, ["calls[1].body.room", "expected 8", "found    1"]),
        ({"error": {"status": 500}}, ["error", "found    null"]),
        ({"took": "PT1S"}, ["took"]),
        ({"order": ["book"]}, ["order"]),
        ({"compensation": {"status": "complete"}}, ["compensation.status", 'found    "none"']),
        ({"waiting": ["rain"]}, ["waiting"]),
    ],
)
def test_what_is_not_as_expected_is_told(folder: Path, expect: dict[str, Any], said: list[str], run: Run) -> None:
    answers = {
        "book": {"status": 201, "content": {"room": 1}},
        "charge": {"content": {"amount": 1}},
        "thank": {"status": 202, "content": "sent", "headers": {"room": "7"}},
    }
    case = {"input": {"guest": "Ada"}, "answers": answers, "expect": expect}
    (folder / "one.test.yaml").write_text(json.dumps({"workflow": "waiting.yaml", "cases": {"one": case}}))
    done = run("test", "one.test.yaml")
    assert done.code == 1
    for part in ["✗ one", *said, "0 passed, 1 failed"]:
        assert part in done.out


def test_a_call_without_an_answer_fails_the_case_and_says_where_to_give_one(folder: Path, run: Run) -> None:
    case = {"input": {"guest": "Ada"}, "answers": {"book": 201}}
    (folder / "one.test.yaml").write_text(json.dumps({"workflow": "waiting.yaml", "cases": {"one": case}}))
    done = run("test", "one.test.yaml")
    assert done.code == 1
    assert "POST cluster://pay/charges has no answer: give one in 'answers' under 'charge'" in done.out


def test_an_answer_whose_expression_fails_says_so(folder: Path, run: Run) -> None:
    answers = {"book": {"content": "${ .body.guest | tonumber }"}}
    case = {"input": {"guest": "Ada"}, "answers": answers}
    (folder / "one.test.yaml").write_text(json.dumps({"workflow": "waiting.yaml", "cases": {"one": case}}))
    done = run("test", "one.test.yaml")
    assert done.code == 1
    assert "the answer's expression '.body.guest | tonumber' failed" in done.out


def test_a_workflow_without_an_end_is_stopped(folder: Path, run: Run) -> None:
    document = {
        "document": {"dsl": "1.0.3", "namespace": "t", "name": "t", "version": "1.0.0"},
        "do": [{"rest": {"wait": {"seconds": 1}}}, {"again": {"set": {"a": 1}, "then": "rest"}}],
    }
    (folder / "endless.yaml").write_text(json.dumps(document))
    (folder / "one.test.yaml").write_text(json.dumps({"workflow": "endless.yaml", "cases": {"one": {}}}))
    done = run("test", "one.test.yaml")
    assert done.code == 1
    assert "more than 100,000 events without an end" in done.out


@pytest.mark.parametrize("case", BROKEN, ids=range(len(BROKEN)))
def test_a_broken_file_is_refused_with_its_place(case: dict[str, Any], folder: Path, run: Run) -> None:
    (folder / "broken.yaml").write_text(
        "document: {dsl: '1.0.3', namespace: t, name: t, version: '1.0.0'}\ndo:\n- a: {calll: http}\n"
    )
    (folder / "bad.test.yaml").write_text(case["text"])
    done = run("test", "bad.test.yaml")
    assert done.code == 1
    for part in case["says"]:
        assert part in done.err, done.err


def test_pytest_collects_the_same_files_and_has_the_fixture(folder: Path) -> None:
    shutil.copy(HERE / "cases" / "waiting.test.yaml", folder)
    (folder / "bad.test.yaml").write_text("workflow: waiting.yaml\ncases: {wrong: {answers: {book: 500}}}\n")
    (folder / "test_own.py").write_text(
        "def test_it(workflow):\n"
        "    outcome = workflow.run('waiting.yaml', {'guest': 'Ada'}, answers={'book': 409}, crash_everywhere=True)\n"
        "    assert outcome.status == 'faulted' and outcome.error['status'] == 409\n"
    )
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--crash-everywhere", str(folder)]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert "1 failed, 10 passed" in done.stdout, done.stdout
    assert "status: expected 'completed', found 'faulted'" in done.stdout


def test_check_tells_what_is_wrong_with_documents_alone(folder: Path, run: Run) -> None:
    done = run("check", "waiting.yaml")
    assert (done.code, done.out) == (0, "1 document is right, 1 warnings\n")
    assert "warning: do[2].pay.try[0].charge: nothing undoes 'charge' when 'thank' fails" in done.err
    (folder / "bad.yaml").write_text((folder / "waiting.yaml").read_text().replace("wait: {days", "wait: {dayz"))
    done = run("check", "waiting.yaml", "bad.yaml", "--json")
    [_, problem] = json.loads(done.out)["problems"]
    assert (done.code, problem["file"], problem["line"]) == (1, "bad.yaml", 11)
