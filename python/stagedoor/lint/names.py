"""Fields of the workflow's input, or of a task's output, that its schema does not know."""

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
_INPUT = "the workflow's input"


def names(document: Json) -> Iterator[Problem]:
    """As far as that is known: in ``input.from`` of the workflow, or without that from its first task on."""
    given = document.get("input") or {}
    schema = ((given.get("schema") or {}).get("document")) if isinstance(given.get("schema"), dict) else None
    if not isinstance(schema, dict):
        schema = None
    if "from" in given and schema is not None:
        yield from _read(given["from"], ("input", "from"), schema, _INPUT, bare=True)
    if "from" in given:
        schema = None
    yield from _list(document["do"], schema)


def _list(tasks: Json, schema: Json) -> Iterator[Problem]:
    """From task to task, as long as it is known what goes in: by the workflow's schema, or by that of the output of the
    task before."""
    named = [next(iter(item.items())) for item in tasks]
    entered = {target for _, task in named for target in _targets(task)}
    whose = _INPUT
    for index, (name, task) in enumerate(named):
        if name in entered:
            schema = None
        if schema is not None:
            yield from _task(task, ("do", index, name), schema, whose)
        schema, whose = _after(name, task, schema, whose)


def _targets(task: Json) -> list[str]:
    cases = [next(iter(item.values())) for item in task.get("switch") or []]
    return [str(each["then"]) for each in [task, task.get("catch") or {}, *cases] if "then" in each]


def _after(name: str, task: Json, schema: Json, whose: str) -> tuple[Json, str]:
    """What comes out of it."""
    output = task.get("output") or {}
    said = (output.get("schema") or {}).get("document")
    if "if" not in task and isinstance(said, dict):
        return said, f"the output of '{name}'"
    own = task.get("input") or {}
    passes = ("wait" in task or "switch" in task) and "as" not in output and "from" not in own
    return (schema, whose) if passes else (None, whose)


def _task(task: Json, at: Path, schema: Json, whose: str) -> Iterator[Problem]:
    own = task.get("input") or {}
    if "from" in own:
        yield from _read(own["from"], (*at, "input", "from"), schema, whose, bare=True)
    elif "call" in task or "set" in task or "emit" in task:
        for key, value in task.items():
            if key not in _OWN:
                yield from _read(value, (*at, key), schema, whose, bare=key == "if")


def _read(value: Json, path: Path, schema: Json, whose: str, *, bare: bool = False) -> Iterator[Problem]:
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _read(item, (*path, key), schema, whose)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _read(item, (*path, index), schema, whose)
    elif isinstance(value, str):
        source = wrapped(value) or (value if bare else None)
        for way in _core.reads(source) if source is not None else ():
            gone = missing(schema, [schema], tuple(way), False)
            if gone is not None:
                field = "".join("[]" if step is None else f".{step}" for step in gone.way).removeprefix(".")
                near = suggestion(str(gone.way[-1]), [str(each) for each in gone.known])
                hint = f"did you mean {near!r}?" if near else None
                yield Problem(path, f"{whose} has no field {field!r}", hint, "warning")
