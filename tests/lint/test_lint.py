"""What a right workflow may still get wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from stagedoor.cli import main
from stagedoor.lint import lint
from stagedoor.workflow.parse import parse
from stagedoor.workflow.resource import Pinned

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CASES = list(YAML(typ="safe", pure=True).load_all((HERE / "cases.yaml").read_text()))
HEAD = {"dsl": "1.0.3", "namespace": "test", "name": "case", "version": "1.0.0"}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["case"])
def test_a_document_is_warned_of_what_it_says(case: dict[str, Any]) -> None:
    document = {"document": HEAD, **{key: case[key] for key in ("input", "use", "do") if key in case}}
    told = [
        f"{'/'.join(map(str, each.path))}: {each.message}"
        for each in lint(parse(document, Pinned(case.get("resources", {}))))
    ]
    assert told == case["says"]


@pytest.mark.parametrize("path", sorted((ROOT / "examples/shop/workflows").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_shop_is_right(path: Path) -> None:
    assert lint(parse(YAML(typ="safe", pure=True).load(path.read_text()))) == []


def test_check_tells_it_with_its_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "flow.yaml"
    file.write_text(
        f"document: {json.dumps(HEAD)}\ndo:\n"
        "- a: {call: http, with: {method: post, endpoint: 'cluster://s/a'}}\n"
        "- b: {call: http, with: {method: get, endpoint: 'cluster://s/b'}}\n"
    )
    assert main(["workflow", "check", str(file)]) == 0
    told = capsys.readouterr()
    assert (
        "flow.yaml:3:3: warning: do[0].a: nothing undoes 'a' when 'b' fails; say how with stagedoor/compensate"
        in told.err
    )
    assert "1 document is right, 1 warnings" in told.out
