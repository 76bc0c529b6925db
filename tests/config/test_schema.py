from __future__ import annotations

from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from stagedoor.config.node import Source, plain
from stagedoor.config.read import read
from stagedoor.config.schema import schema

CASES = Path(__file__).parent / "cases"
PARTS = {"includes"}
"""What such a case lacks is in the files that it includes."""
RIGHT = sorted(case.name for case in CASES.iterdir() if (case / "snapshot.json").exists())


def test_it_is_a_valid_schema_of_draft_2020_12() -> None:
    Draft202012Validator.check_schema(schema())


def data(text: str) -> object:
    return plain(read(Source(Path("in.yaml"), "in.yaml", text))[0])


@pytest.mark.parametrize("name", [name for name in RIGHT if name not in PARTS])
def test_a_right_configuration_follows_it(name: str) -> None:
    Draft202012Validator(schema()).validate(data((CASES / name / "in.yaml").read_text()))


@pytest.mark.parametrize(
    "text", ["listeners: {}", "listeners: {a: {bind: x}}\nplanes: {}", "workers: 0", "clusters: {a: {}}"]
)
def test_a_wrong_configuration_does_not(text: str) -> None:
    assert list(Draft202012Validator(schema()).iter_errors(data(text)))
