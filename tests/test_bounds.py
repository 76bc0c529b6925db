"""``docs/bounds.md`` says what the code does: its fixed bounds are the constants that it names."""

from __future__ import annotations

import os
import re
from functools import cache
from pathlib import Path

import pytest
from reference import with_bounds

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "bounds.md"
SOURCE = ROOT / "crates" / "dataplane" / "src"
ROW = re.compile(
    r"^\| (?P<what>.+) \| (?P<bound>.+) \| `(?P<file>[\w/]+\.rs)` `(?P<name>[A-Z0-9_]+)` \|$", re.MULTILINE
)
ROWS = [(row["file"], row["name"], row["bound"]) for row in ROW.finditer(PAGE.read_text())]
UNITS = {"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "ms": 1, "s": 1000, "h": 3_600_000}
FACTORS = {"from_millis": 1, "from_secs": 1000}


@cache
def constant(file: str, name: str) -> int:
    """The value of a constant: a number, bytes or, of a ``Duration``, milliseconds."""
    text = (SOURCE / file).read_text()
    [value] = re.findall(rf"^ *(?:pub(?:\(\w+\))? )?const {name}: \w+ = (.+);$", text, flags=re.MULTILINE)
    duration = re.fullmatch(r"Duration::(\w+)\((.+)\)", value)
    factor = FACTORS[duration[1]] if duration else 1
    value = duration[2] if duration else value
    total = 1
    # Products, and shifts of one number; names are constants of the same file.
    for part in re.sub(r" as \w+", "", value).split(" * "):
        base, _, shift = part.partition(" << ")
        total *= (constant(file, base) if base[0].isalpha() else int(base)) << int(shift or 0)
    return total * factor


@pytest.mark.parametrize(("file", "name", "bound"), ROWS, ids=[f"{file} {name}" for file, name, _ in ROWS])
def test_a_fixed_bound_is_what_the_page_says(file: str, name: str, bound: str) -> None:
    number, _, unit = bound.partition(" ")
    assert constant(file, name) == int(number.replace(",", "")) * UNITS[unit]


def test_every_row_of_a_constant_is_read() -> None:
    assert len(ROWS) == PAGE.read_text().count(".rs` `") > 30
    assert len({(file, name) for file, name, _ in ROWS}) == len(ROWS), "a constant stands there twice"


def test_the_table_of_the_configuration_says_what_the_models_say() -> None:
    """``REGENERATE=1 pytest tests/test_bounds.py`` makes it anew."""
    if os.environ.get("REGENERATE"):
        PAGE.write_text(with_bounds(PAGE.read_text()))
    assert PAGE.read_text() == with_bounds(PAGE.read_text())
