"""``workflow build --portable``: the plain form fits the specification's schema and behaves as the document does."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pages
import pytest
from collection import own
from ruamel.yaml import YAML
from scenario import RESOURCES, document, load
from stagedoor.cli import main
from stagedoor.errors import InvalidDefinition
from stagedoor.portable import lower, write
from stagedoor.portable.undoable import OWN
from stagedoor.workflow.commands import Call
from stagedoor.workflow.definition import Definition
from stagedoor.workflow.parse import parse
from stand_in import Scene
from test_specification_schema import needs_shared, validator
from virtual import Driver, last, task_name

Json = Any
HERE = Path(__file__).parent
TOP = HERE.parents[1]
UNDO = re.compile(r".*/undo/do/\d+/([^/]+)/(?:try|do)/")


def sagas() -> dict[str, Json]:
    """Every case whose document says something about undoing."""
    found = {name: json.loads(json.dumps(case)) for name, case in own()}
    return {
        name: case for name, case in found.items() if re.search(r'"stagedoor/|"call": "compensate"', json.dumps(case))
    }


SAGAS = sagas()
OTHERWISE: dict[str, str] = {name: lost for lost, names in load(HERE / "portable.yaml")[0].items() for name in names}
"""Where the plain form does something else, or is refused: what is lost, as a part of the message."""


def run(case: Json, definition: Definition, name: Any) -> Driver:
    answers = {key: each if isinstance(each, list) else [each] for key, each in case.get("answers", {}).items()}
    driver = Driver(
        definition,
        answers,
        list(case.get("operator", [])),
        case.get("cancel"),
        case.get("events", []),
        case.get("suspend"),
        Scene(case["requests"]) if "requests" in case else None,
        case.get("secrets", {}),
        [parse(other) for other in case.get("workflows", [])],
        name=name,
    )
    driver.run(case.get("input"))
    return driver


def name_in_plain_form(call: Call) -> str:
    undone = UNDO.match(call.task)
    return f"undo {undone[1]}" if undone else last(call.task)


def seen(driver: Driver) -> dict[str, Json]:
    """What the world sees: calls in their order, how it ended, with what."""
    machine, calls = driver.machine, [command for command in driver.commands if isinstance(command, Call)]
    error = machine.error and {key: machine.error.get(key) or "" for key in ("type", "status", "title", "detail")}
    return {
        "status": machine.status,
        "calls": [[call.method, call.endpoint, call.body, call.headers, call.query] for call in calls],
        "error": error,
        "output": machine.output,
    }


def both(case: Json, whole: Json) -> tuple[dict[str, Json], dict[str, Json], list[str]]:
    portable = lower(whole)
    plain = run(case, parse(portable.document, RESOURCES), name_in_plain_form)
    return seen(run(case, parse(whole, RESOURCES), task_name)), seen(plain), [each.message for each in portable.lost]


@pytest.mark.parametrize("name", SAGAS)
def test_the_plain_form_behaves_the_same_or_says_what_is_lost(name: str) -> None:
    case = SAGAS[name]
    lost = OTHERWISE.get(name)
    if lost is not None and lost.startswith("refused: "):
        with pytest.raises(InvalidDefinition, match=re.escape(lost.removeprefix("refused: "))):
            lower(document(case))
        return
    sugar, plain, told = both(case, document(case))
    if lost is None:
        assert plain == sugar
    else:
        assert plain != sugar, "nothing is lost here"
        assert [message for message in told if lost in message] != [], told


def documents() -> dict[str, Json]:
    """Documents for people: those of the shop, and the one of the guide."""
    yaml = YAML(typ="safe", pure=True)
    found = {
        path.stem: yaml.load(path.read_text()) for path in sorted((TOP / "examples/shop/workflows").glob("*.yaml"))
    }
    found["guide"] = pages.documents(TOP / "docs/sagas.md")[0]
    return {name: json.loads(json.dumps(whole)) for name, whole in found.items()}


@pytest.mark.parametrize("name", documents())
def test_whatever_call_of_an_example_fails_the_same_is_undone(name: str) -> None:
    whole = documents()[name]
    content = {"id": 7, "amount": 5, "sku": "mug", "tracking": "S-1", "to": "ada"}
    tasks = [next(iter(item)) for item in whole["do"]]
    for failing in [None, *tasks]:
        answers: Json = {task: {"status": 200, "content": content} for task in tasks}
        if failing is not None:
            answers[failing] = {"status": 409, "content": {"title": "Not now", "detail": failing}}
        for undone in [None, tasks[0]]:
            given = answers | ({f"undo {undone}": [503, 503, 200]} if undone else {})
            sugar, plain, _ = both({"answers": given, "input": {"sku": "mug", "quantity": 1}}, whole)
            assert plain == sugar, (failing, undone)
            assert (sugar["status"] == "completed") is (failing is None)


# The form.


def shallow(tasks: Json) -> Any:
    """Every task by itself: lists of tasks in it are lists of one small task. A validator of nested alternatives takes
    twice as long with each level."""
    small = [{"small": {"set": {"n": 1}}}]
    for item in tasks:
        [(_, task)] = item.items()
        task = dict(task)
        below = []
        for key in ("do", "try"):
            if key in task:
                below, task[key] = [*below, *task[key]], small
        if "catch" in task and "do" in task["catch"]:
            below, task["catch"] = [*below, *task["catch"]["do"]], {**task["catch"], "do": small}
        if "fork" in task:
            below, task["fork"] = [*below, *task["fork"]["branches"]], {**task["fork"], "branches": small}
        yield json.dumps(task)
        yield from shallow(below)


@needs_shared
def test_every_plain_form_fits_the_specification_s_schema() -> None:
    whole = validator().schema
    task = jsonschema.Draft202012Validator(
        {"$schema": whole["$schema"], "$defs": whole["$defs"], "$ref": "#/$defs/task"}
    )

    @cache
    def fits(text: str) -> bool:
        return bool(task.is_valid(json.loads(text)))

    assert not fits('{"raise": {"error": {"status": 1}}}')
    # The validator takes its time.
    for name, case in [*list(SAGAS.items())[::8], *((name, whole) for name, whole in documents().items())]:
        if OTHERWISE.get(name, "").startswith("refused: "):
            continue
        plain = lower(document(case) if "document" not in case else case).document
        functions = [{name: body} for name, body in (plain.get("use") or {}).get("functions", {}).items()]
        for text in shallow([*plain["do"], *functions]):
            # One status is as good as another.
            assert fits(re.sub(r"\b[45]\d\d\b", "404", text)), (name, text)
        assert not any(f'"{key}"' in json.dumps(plain) for key in OWN)


@pytest.mark.parametrize("name", documents())
def test_what_is_written_reads_the_same(name: str) -> None:
    plain = lower(documents()[name]).document
    assert YAML(typ="safe", pure=True).load(write(plain)) == plain


@pytest.mark.parametrize(
    "text", ["on", "1e3", "0o17", "1.0", "null", "~", "a: b", "# x", "", " a", "a\nb", "2001-01-01", "=", "é"]
)
def test_a_text_stays_a_text_by_both_versions_of_yaml(text: str) -> None:
    for version in ("1.1", "1.2"):
        yaml = YAML(typ="safe", pure=True)
        yaml.version = version
        assert yaml.load(write({"a": text, text: 1})) == {"a": text, text: 1}


# What has no plain form.

HEAD = {"dsl": "1.0.3", "namespace": "test", "name": "case", "version": "1.0.0"}
UNDONE = {
    "metadata": {"stagedoor/compensate": {"call": "http", "with": {"method": "delete", "endpoint": "http://a/b"}}}
}


@pytest.mark.parametrize(
    ("do", "functions", "says"),
    [
        (
            [
                {
                    "t": {
                        "try": [{"a": {**UNDONE, "set": {"n": 1}}}],
                        "catch": {"errors": {"with": {"instance": "/do/0"}}},
                    }
                }
            ],
            {},
            "the instance of an error is another one in the plain form",
        ),
        (
            [{"a": {"metadata": {"stagedoor/compensate": {"set": {"n": 1}, "export": {"as": "."}}}, "set": {"n": 1}}}],
            {},
            "the undo of 'a' exports to a context of its own",
        ),
        (
            [{"a": {"metadata": {"stagedoor/compensate": {"set": {"n": 1}, "then": "end"}}, "set": {"n": 1}}}],
            {},
            "the undo of 'a' says then: end",
        ),
        (
            [{"part": {"metadata": {"stagedoor/saga": {}}, "do": [{"a": {"call": "book"}}]}}],
            {"book": {"do": [{"b": {**UNDONE, "set": {"n": 1}}}]}},
            "the function 'book' has tasks that are undone",
        ),
    ],
)
def test_what_has_no_plain_form_is_refused_with_its_place(do: Json, functions: Json, says: str) -> None:
    whole = {"document": HEAD, "use": {"functions": functions}, "do": do}
    parse(whole, RESOURCES)
    with pytest.raises(InvalidDefinition) as refused:
        lower(whole)
    [problem] = refused.value.problems
    assert says in problem.message
    assert problem.path[0] == "do"


# The command.


def test_the_command_writes_the_document_and_tells_what_is_lost(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    order = str(TOP / "examples/shop/workflows/order.yaml")
    written = tmp_path / "order.yaml"
    assert main(["workflow", "build", "--portable", order, "-o", str(written)]) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "if the undo of 'reserveStock', 'charge' and 'ship' fails for good, no operator is asked" in captured.err
    assert re.search(r"order\.yaml:\d+:\d+: warning: ", captured.err)
    assert main(["workflow", "check", str(written)]) == 0
    capsys.readouterr()
    assert main(["workflow", "build", "--portable", order, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["document"] == YAML(typ="safe", pure=True).load(written.read_text())
    assert {problem["severity"] for problem in told["lost"]} == {"warning"}
    assert main(["workflow", "build", "--portable", order, "--strict"]) == 1
    assert capsys.readouterr().out == ""


def test_what_is_refused_stands_with_its_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    branch = {**UNDONE, "set": {"n": 1}}
    file = tmp_path / "race.yaml"
    file.write_text(
        json.dumps({"document": HEAD, "do": [{"f": {"fork": {"compete": True, "branches": [{"a": branch}]}}}]})
    )
    assert main(["workflow", "build", "--portable", str(file)]) == 1
    assert "race.yaml:1:" in (err := capsys.readouterr().err)
    assert "in the plain form nobody hears what a loser did" in err


def test_a_document_without_undos_stays_as_it_is() -> None:
    whole = {"document": HEAD, "do": [{"a": {"metadata": {"mine": 1, "stagedoor/readOnly": True}, "set": {"n": 1}}}]}
    portable = lower(whole)
    assert portable.document == {"document": HEAD, "do": [{"a": {"metadata": {"mine": 1}, "set": {"n": 1}}}]}
    assert portable.lost == []
