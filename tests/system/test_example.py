"""The example's files are what they claim to be."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml
from jsonschema import Draft202012Validator
from shop import run
from stagedoor.demo.processes import SHOP

ROOT = Path(__file__).parents[2]
NAMED = os.environ.get("STAGEDOOR_SHARED")
FOLDERS = [Path(NAMED)] if NAMED else [folder / "shared" for folder in ROOT.parents]
SCHEMA = next((path for folder in FOLDERS if (path := folder / "ows/schema/workflow.yaml").exists()), None)


@pytest.mark.skipif(SCHEMA is None, reason="the specification's files are not here (STAGEDOOR_SHARED)")
@pytest.mark.parametrize("document", sorted((SHOP / "workflows").glob("*.yaml")), ids=lambda path: path.stem)
def test_a_workflow_is_a_legal_document_of_the_specification(document: Path) -> None:
    assert SCHEMA is not None
    validator = Draft202012Validator(yaml.safe_load(SCHEMA.read_text()))
    assert [error.message for error in validator.iter_errors(yaml.safe_load(document.read_text()))] == []


def test_the_configuration_has_no_error_and_no_warning() -> None:
    checked = run("check", str(SHOP / "stagedoor.yaml"))
    assert checked.returncode == 0, checked.stderr
    assert "0 warnings" in checked.stdout
    assert checked.stderr == ""


def test_there_is_one_copy_of_the_example() -> None:
    assert (ROOT / "examples/shop").resolve() == SHOP.resolve()
