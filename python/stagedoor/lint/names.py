"""Fields of the workflow's input that its schema does not know."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from stagedoor import _core
from stagedoor.config.members import missing
from stagedoor.errors import Problem
from stagedoor.lint.step import Path
from stagedoor.workflow.expression import wrapped
from stagedoor.workflow.place import suggestion

Json = Any
_OWN = frozenset({"output", "export", "metadata"})
"""Of a task: what is not about its input."""


def names(document: Json) -> Iterator[Problem]:
    """As far as that is known: in ``input.from`` of the workflow, or without that in its first task."""
    given = document.get("input") or {}
    schema = ((given.get("schema") or {}).get("document")) if isinstance(given.get("schema"), dict) else None
    if not isinstance(schema, dict):
        return
    if "from" in given:
        yield from _read(given["from"], ("input", "from"), schema, bare=True)
        return
    name, task = next(iter(document["do"][0].items()))
    own = task.get("input") or {}
    at: Path = ("do", 0, name)
    if "from" in own:
        yield from _read(own["from"], (*at, "input", "from"), schema, bare=True)
    elif "call" in task or "set" in task or "emit" in task:
        for key, value in task.items():
            if key not in _OWN:
                yield from _read(value, (*at, key), schema, bare=key == "if")


def _read(value: Json, path: Path, schema: Json, *, bare: bool = False) -> Iterator[Problem]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _read(item, (*path, key), schema)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _read(item, (*path, index), schema)
    elif isinstance(value, str):
        source = wrapped(value) or (value if bare else None)
        for way in _core.reads(source) if source is not None else ():
            gone = missing(schema, [schema], tuple(way), False)
            if gone is not None:
                field = "".join("[]" if step is None else f".{step}" for step in gone.way).removeprefix(".")
                near = suggestion(str(gone.way[-1]), [str(each) for each in gone.known])
                hint = f"did you mean {near!r}?" if near else None
                yield Problem(path, f"the workflow's input has no field {field!r}", hint, "warning")
