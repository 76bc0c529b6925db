"""Functions of catalogs on disk, and the example that has one."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from running import Gateway, until
from stagedoor.config import check
from stagedoor.errors import InvalidDefinition
from stagedoor.workflow.parse import parse, restore, stored
from stagedoor.workflow.resource import Pinned
from virtual import Driver

Json = Any
EXAMPLE = Path(__file__).parents[2] / "examples" / "calls"
HEAD = {"dsl": "1.0.3", "namespace": "test", "name": "flow", "version": "1.0.0"}
DOUBLE = {"set": "${ .number * 2 }"}


def document(called: str, **use: Json) -> Json:
    return {"document": HEAD, "use": use, "do": [{"one": {"call": called, "with": {"number": 21}}}]}


@pytest.mark.parametrize(
    ("called", "use", "uri"),
    [
        ("double:1.0.0", {}, "catalog:functions/double/1.0.0/function.yaml"),
        ("double:1.0.0@default", {}, "catalog:functions/double/1.0.0/function.yaml"),
        (
            "double:1.0.0@house",
            {"catalogs": {"house": {"endpoint": "cat/"}}},
            "cat/functions/double/1.0.0/function.yaml",
        ),
        (
            "double:1.0.0",
            {"catalogs": {"default": {"endpoint": {"uri": "https://cat.example/x"}}}},
            "https://cat.example/x/functions/double/1.0.0/function.yaml",
        ),
        ("https://cat.example/function.yaml", {}, "https://cat.example/function.yaml"),
    ],
)
def test_a_function_is_where_its_name_says(called: str, use: Json, uri: str) -> None:
    definition = parse(document(called, **use), Pinned({f"data {uri}": DOUBLE}))
    assert Driver(definition).run({}).output == 42
    assert Driver(restore(stored(definition))).run({}).output == 42


@pytest.mark.parametrize(
    ("called", "content", "message"),
    [
        ("double:1.0.0@hoose", DOUBLE, "no catalog named 'hoose'"),
        ("double@house", DOUBLE, "is not the name of a function"),
        ("double:2.0.0@house", DOUBLE, "cannot be read here"),
        ("double:1.0.0@house", {"call": "http", "with": {"method": "get"}}, "in double:1.0.0@house: with: 'endpoint'"),
        ("double:1.0.0@house", {"call": "double:1.0.0@house"}, "functions call each other in a circle"),
        ("double:1.0.0@house", [1], "expected an object, found a list"),
    ],
)
def test_a_function_that_is_wrong_is_told_at_its_caller(called: str, content: Json, message: str) -> None:
    written = document(called, catalogs={"house": {"endpoint": "cat"}})
    with pytest.raises(InvalidDefinition) as refused:
        parse(written, Pinned({"data cat/functions/double/1.0.0/function.yaml": content}))
    [problem] = refused.value.problems
    assert message in problem.message
    assert problem.path == ("do", 0, "one", "call")


def test_nothing_outside_of_the_configurations_folder_is_read(tmp_path: Path) -> None:
    (tmp_path / "secret.yaml").write_text("set: {a: 1}")
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "stagedoor.yaml").write_text('{listeners: {a: {bind: "127.0.0.1:0"}}, workflows: [flow.yaml]}')
    for name in ("file:../secret.yaml", f"file://{tmp_path}/secret.yaml", "x:1@up"):
        (inside / "flow.yaml").write_text(str(document(name, catalogs={"up": {"endpoint": ".."}})))
        [problem] = check(inside / "stagedoor.yaml").problems
        assert "is outside the configuration's folder" in problem.message


def test_the_example_of_calls_runs(gateway: Callable[..., Gateway], tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    for file in EXAMPLE.rglob("*.yaml"):
        target = tmp_path / file.relative_to(EXAMPLE)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(file.read_text().replace(":8765", f":{port}").replace(":8080", ":0"))
    pets = subprocess.Popen([sys.executable, EXAMPLE / "pets.py", str(port)], stderr=subprocess.DEVNULL)
    try:
        running = gateway(None)
        answer = until(lambda: (found := running.request("POST", "/calls", {"status": "x"})).status < 500 and found)
        assert answer.json == {"text": "a friend of Milou has come to 1 others"}, running.log
        assert "a-key-for-the-example" not in running.log
    finally:
        pets.kill()
        pets.wait()
