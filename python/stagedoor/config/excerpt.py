"""The line that a problem is about, with a caret below the place; never one that may hold a secret."""

from __future__ import annotations

import re

from stagedoor.config.problem import Located
from stagedoor.config.validate import SECRET

MAX_WIDTH = 160
_SECTION = re.compile(r"([A-Za-z_]+)\s*:")
_INDENTED = re.compile(r"[\s#]|$")


def excerpt(problem: Located) -> tuple[str, str] | None:
    """The line and the caret's line. None where the line is in a section that holds secrets, or in an unknown one."""
    place = problem.place
    lines = place.source.text.splitlines()
    if not 0 < place.line <= len(lines) or _section(lines, place.line - 1) in (None, *SECRET):
        return None
    line = lines[place.line - 1].replace("\t", " ")
    start = max(0, place.column - MAX_WIDTH + 20)
    return f"  {line[start : start + MAX_WIDTH]}", f"  {' ' * (place.column - 1 - start)}^"


def _section(lines: list[str], index: int) -> str | None:
    """The key at the left margin under which a line stands."""
    while index >= 0 and _INDENTED.match(lines[index]):
        index -= 1
    match = _SECTION.match(lines[index]) if index >= 0 else None
    return match[1] if match else None
