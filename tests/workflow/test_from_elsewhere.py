"""The pages for those who come from elsewhere: what they show of there is right, and what stands here for it runs."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pages
import pytest
from pages import BLOCK, DOCS
from ruamel.yaml import YAML
from scenario import SHARED
from stagedoor.cli import main

NAMES = ("from_step_functions", "from_conductor", "from_arazzo")
ARAZZO = SHARED / "arazzo" if SHARED else None
ABSENT = "the OpenAPI Initiative's examples are not here (STAGEDOOR_SHARED)"
Json = Any


def needed(name: str) -> Path | None:
    if name != "from_arazzo":
        return None
    if ARAZZO is None:
        pytest.skip(ABSENT)
    return ARAZZO


@pytest.mark.parametrize("name", NAMES)
def test_what_stands_here_for_it_is_checked_and_plays_as_the_page_says(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """``REGENERATE=1 pytest tests/workflow/test_from_elsewhere.py`` writes what the commands print anew."""
    page, folder = DOCS / f"{name}.md", needed(name)
    for description in folder.glob("*.openapi.yaml") if folder else ():
        shutil.copy(description, tmp_path)
    if folder:
        shutil.copy(folder / "bnpl-openapi.yaml", tmp_path)
    pages.write(page, tmp_path)
    monkeypatch.chdir(tmp_path)
    assert main(["workflow", "check", *sorted(path.name for path in tmp_path.glob("*.workflow.yaml"))]) == 0
    assert "warning" not in capsys.readouterr().err
    played = pages.played(page, capsys)
    if os.environ.get("REGENERATE"):
        page.write_text(played)
    assert page.read_text() == played
    assert len(list(tmp_path.glob("*.test.yaml"))) >= 3


@pytest.mark.parametrize("name", NAMES[:2])
def test_what_is_shown_of_there_is_json_and_its_states_and_tasks_are_known(name: str) -> None:
    shown = [json.loads(text) for kind, text in BLOCK.findall((DOCS / f"{name}.md").read_text()) if kind == "json"]
    assert len(shown) >= 3
    for machine in (each for each in shown if "States" in each):
        for states in machines(machine):
            assert states["StartAt"] in states["States"]
            for state in states["States"].values():
                ways = [state.get("Next"), state.get("Default")]
                ways += [way["Next"] for key in ("Choices", "Catch") for way in state.get(key, ())]
                assert set(filter(None, ways)) <= set(states["States"])


def machines(machine: Json) -> Iterator[Json]:
    yield machine
    for state in machine["States"].values():
        for inner in [*state.get("Branches", ()), *filter(None, [state.get("ItemProcessor")])]:
            yield from machines(inner)


def steps(shown: Json) -> Iterator[Json]:
    """Of workflows, or of a list of steps."""
    for each in shown:
        yield from each.get("steps", [each])


@pytest.mark.skipif(ARAZZO is None, reason=ABSENT)
def test_what_is_shown_of_arazzo_is_what_its_documents_say() -> None:
    assert ARAZZO is not None
    load = YAML(typ="safe", pure=True).load
    originals = [load((ARAZZO / name).read_text()) for name in ("pet-coupons.arazzo.yaml", "bnpl-arazzo.yaml")]
    known = [step for original in originals for workflow in original["workflows"] for step in workflow["steps"]]
    blocks = [load(text) for kind, text in BLOCK.findall((DOCS / "from_arazzo.md").read_text()) if kind == "yaml"]
    shown = [step for block in blocks if isinstance(block, list) for step in steps(block)]
    assert len(shown) == 7
    for step in shown:
        assert any(covers(step, other) for other in known), step["stepId"]


def covers(shown: Json, whole: Json) -> bool:
    """Whether all that is shown stands there too; conditions that only repeat the status may be left out."""
    if isinstance(shown, dict):
        return isinstance(whole, dict) and all(
            key in whole and covers(value, whole[key]) for key, value in shown.items()
        )
    if isinstance(shown, list):
        return isinstance(whole, list) and all(any(covers(item, other) for other in whole) for item in shown)
    return bool(shown == whole)


@pytest.mark.skipif(ARAZZO is None, reason=ABSENT)
@pytest.mark.parametrize(
    ("description", "operation", "theirs", "own"),
    [
        ("pet-coupons.openapi.yaml", "findPetsByTags", "pet_tags", "tags"),
        ("pet-coupons.openapi.yaml", "getPetCoupons", "pet_id", "petId"),
        ("bnpl-openapi.yaml", "getAuthorization", "redirectAuthToken", "AuthorizationToken"),
    ],
)
def test_check_finds_names_that_a_description_does_not_have(
    description: str, operation: str, theirs: str, own: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert ARAZZO is not None
    shutil.copy(ARAZZO / description, tmp_path)
    said = {"document": {"endpoint": description}, "operationId": operation, "parameters": {theirs: 1}}
    head = {"dsl": "1.0.3", "namespace": "test", "name": "test", "version": "1.0.0"}
    file = tmp_path / "one.workflow.yaml"
    file.write_text(json.dumps({"document": head, "do": [{"ask": {"call": "openapi", "with": said}}]}))
    assert main(["workflow", "check", str(file)]) == 1
    told = capsys.readouterr().err
    assert f"the operation has no parameter '{theirs}'" in told
    assert own in told
