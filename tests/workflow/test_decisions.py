"""Every decision that the documentation lists is held by tests that exist."""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path

import pytest
from pages import DOCS

HERE = Path(__file__).parent
PAGE = DOCS / "workflows" / "decisions.md"
ROWS = re.findall(r"^\| (?!point |---)(.+?) \| (.+) \| (`.+?) \|$", PAGE.read_text(), flags=re.MULTILINE)
NAMES = {
    ".feature": re.compile(r"^ *Scenario: (.+)$", re.MULTILINE),
    ".yaml": re.compile(r"^case: (.+)$", re.MULTILINE),
    ".py": re.compile(r"^def (test_\w+)\(", re.MULTILINE),
}


@cache
def names(file: str) -> set[str]:
    """Of all tests in the files of that name: cases of broken documents stand in files that are named as others are."""
    found = [path for path in HERE.parent.rglob(file) if path.is_file()]
    assert found, file
    return {name.strip() for path in found for name in NAMES[path.suffix].findall(path.read_text())}


def test_every_row_is_read() -> None:
    lines = [line for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    assert len(lines) == len(ROWS) + PAGE.read_text().count("| point |") > 60


@pytest.mark.parametrize(("point", "held"), [(point, held) for point, _, held in ROWS])
def test_a_decision_is_held_by_tests_that_exist(point: str, held: str) -> None:
    for reference in held.split(" · "):
        named = re.fullmatch(r"`([\w.-]+)`: (.+)", reference)
        assert named, f"{point}: {reference}"
        assert named[2] in names(named[1]), reference
