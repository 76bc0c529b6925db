"""Expressions beside jq itself: the same answers, but for the differences that are listed, each with both answers."""

from __future__ import annotations

import json
import math
import os
import re
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from stagedoor._core import Expression, ExpressionError

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "expressions.md"
SHOWN = re.compile(r"(?<=<!-- differences -->\n).*?(?=<!-- end -->)", re.DOTALL)
DIFFERENCES = YAML(typ="safe", pure=True).load((Path(__file__).parent / "differences.yaml").read_text())
CASES = [case for group in DIFFERENCES for case in group["cases"]]
FILES = ("read", "change", "compute")
OLDER = find_spec("jq") is not None and version("jq").startswith("1.8.")
"""Packages of these versions have jq 1.7 inside, later ones jq 1.8."""
NOT_IN_EVERY_BUILD = ("map(toarray)", "65 | ascii")
Json = Any


def plain(value: Json) -> Json:
    """As JSON has it: neither infinite nor no number, and a number is a number."""
    if isinstance(value, float):
        return None if not math.isfinite(value) else int(value) if value.is_integer() and abs(value) < 2**53 else value
    if isinstance(value, list):
        return [plain(item) for item in value]
    return {key: plain(item) for key, item in value.items()} if isinstance(value, dict) else value


def here(source: str, data: Json) -> list[Json] | str:
    try:
        return [plain(Expression(source).evaluate(data, now=0.0))]
    except ExpressionError as error:
        return str(error)


def there(source: str, data: Json) -> list[Json] | str:
    jq = pytest.importorskip("jq", reason="the package jq is not installed")
    if OLDER:
        pytest.skip("the package jq that is installed has jq 1.7 inside")
    try:
        return plain(jq.compile(source).input_value(data).all())  # type: ignore[no-any-return]
    except ValueError as error:
        return str(error)


def is_as_said(found: list[Json] | str, said: list[Json] | str) -> bool:
    """A text is a part of the error."""
    if isinstance(said, str):
        return isinstance(found, str) and said in found
    return bool(found == plain(said))


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case['filter']} of {json.dumps(case['input'])}")
def test_a_difference_is_what_the_list_says(case: Json) -> None:
    found = here(case["filter"], case["input"])
    assert is_as_said(found, case["here"]), found
    other = there(case["filter"], case["input"])
    assert is_as_said(other, case["jq"]), other
    assert found != other


def cases(file: str) -> list[dict[str, str]]:
    """Of the expressions' own tests: ``key: value`` lines in blocks. Variables and clocks are not jq's to know."""
    text = (ROOT / "crates" / "expression" / "tests" / "cases" / f"{file}.txt").read_text()
    blocks = [
        dict(line.split(": ", 1) for line in block.splitlines() if line and not line.startswith("#"))
        for block in text.split("\n\n")
    ]
    return [each for each in blocks if "program" in each and not any(key[:8] in ("variable", "now") for key in each)]


@pytest.mark.parametrize("file", FILES)
def test_what_is_not_listed_is_the_same_in_jq(file: str) -> None:
    listed = {(case["filter"], json.dumps(case["input"])) for case in CASES}
    compared = 0
    for case in cases(file):
        data = json.loads(case.get("input", "null"))
        if (case["program"], json.dumps(data)) in listed or case["program"] in NOT_IN_EVERY_BUILD:
            continue
        compared += 1
        found = there(case["program"], data)
        one = not isinstance(found, str) and len(found) == 1
        assert found == [json.loads(case["output"])] if "output" in case else not one, case
    assert compared > 20


def shown(answer: list[Json] | str) -> str:
    if isinstance(answer, str):
        return "error"
    return "nothing" if not answer else code(json.dumps(answer[0], ensure_ascii=False))


def code(text: str) -> str:
    return f"`{text}`".replace("|", r"\|")


def table() -> str:
    lines = []
    for group in DIFFERENCES:
        lines += [
            f"### {group['title']}",
            "",
            group["about"],
            "",
            "| filter | input | jq | here |",
            "|---|---|---|---|",
        ]
        for case in group["cases"]:
            data = json.dumps(case["input"], ensure_ascii=False)
            other = shown(case["jq"]) + (f"; 1.7: {shown(case['jq_1_7'])}" if "jq_1_7" in case else "")
            cells = (code(case["filter"]), code(data), other, shown(case["here"]))
            lines.append(f"| {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


def test_the_page_shows_the_list() -> None:
    """``REGENERATE=1 pytest tests/expressions`` writes it anew."""
    text = PAGE.read_text()
    assert SHOWN.search(text)
    filled = SHOWN.sub(lambda _: f"\n{table()}", text)
    if os.environ.get("REGENERATE"):
        PAGE.write_text(filled)
    assert PAGE.read_text() == filled
