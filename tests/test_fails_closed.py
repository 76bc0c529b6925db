"""A policy that cannot decide lets nobody pass. ``fails_closed.txt`` says for each policy when that is, what is
answered, and the test that shows it; and the attacks on what they decide by, each with its test."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest
from stagedoor.policies import Policies

ROOT = Path(__file__).parent.parent
TABLE = Path(__file__).with_name("fails_closed.txt")


def rows(cells: int) -> list[list[str]]:
    """Lines with that many cells."""
    lines = [line.split(" | ") for line in TABLE.read_text().splitlines() if line and not line.startswith("#")]
    assert {len(line) for line in lines} == {3, 5}
    return [line for line in lines if len(line) == cells]


SHOWN = [(row[-2], row[-1]) for row in rows(5) + rows(3) if row[-1] != "-"]


@cache
def names(file: str) -> frozenset[str]:
    return frozenset(re.findall(r"^\s*(?:async )?(?:fn|def) (\w+)\(", (ROOT / file).read_text(), flags=re.MULTILINE))


@pytest.mark.parametrize(("file", "name"), SHOWN, ids=[name for _, name in SHOWN])
def test_a_test_shows_it(file: str, name: str) -> None:
    assert name in names(file)


def test_every_policy_is_in_the_table() -> None:
    assert {row[0] for row in rows(5)} == {field.alias or name for name, field in Policies.model_fields.items()}
