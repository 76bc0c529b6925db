"""Changes that nobody would undo, and changes that a retry would make twice."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from stagedoor.errors import Problem
from stagedoor.lint.operation import Operations, operation
from stagedoor.lint.step import Path, Step, changes, lists, may_fail, steps

Json = Any
HINT = (
    "say how with stagedoor/compensate, or why not with stagedoor/pivot, stagedoor/irreversible or stagedoor/readOnly"
)


def uncompensated(document: Json, known: Operations) -> Iterator[Problem]:
    functions = (document.get("use") or {}).get("functions") or {}
    found = list(steps(document["do"], ("do",)))
    for index, step in enumerate(found):
        if changes(step.task, functions, known) and not step.covered:
            after = _after(step, found[index + 1 :])
            if after is not None:
                yield Problem(step.path, f"nothing undoes '{step.name}' when {after} fails", HINT, "warning")
        if "try" in step.task and "retry" in step.task["catch"]:
            yield from _retried(step, functions, known)


def _after(step: Step, following: list[Step]) -> str | None:
    """What comes later, or again, or at the same time, and may fail."""
    for later in following:
        if may_fail(later.task) and later.path[: len(step.path)] != step.path and not _handles(later.path, step.path):
            return f"'{later.name}'"
    if step.repeated:
        return "a later round of the loop"
    return "another branch" if step.beside else None


def _handles(later: Path, earlier: Path) -> bool:
    """Whether one is in the ``catch`` of the ``try`` that holds the other: it runs because that failed."""
    for index, word in enumerate(later):
        if word == "catch" and later[:index] == earlier[:index] and earlier[index : index + 1] == ("try",):
            return True
    return False


def _retried(step: Step, functions: Json, known: Operations) -> Iterator[Problem]:
    inner, below, _, _ = next(iter(lists(step.task)))
    inside = list(steps(inner, (*step.path, *below)))
    for each in inside:
        yield from _keyless(each, step, known)
    if "stagedoor/saga" in (step.task.get("metadata") or {}):
        return
    changing = [each for each in inside if changes(each.task, functions, known)]
    if len(changing) > 1:
        names = ", ".join(f"'{each.name}'" for each in changing[:-1]) + f" and '{changing[-1].name}'"
        message = f"a retry runs the whole block again, and {names} change something"
        hint = "retry each by itself, or let stagedoor/saga undo the block before it is tried again"
        yield Problem((*step.path, "catch", "retry"), message, hint, "warning")


def _keyless(step: Step, around: Step, known: Operations) -> Iterator[Problem]:
    """A POST that a retry sends again, to a service that does not say that it knows it by its key."""
    found = operation(step.task, known)
    settled = (step.task.get("metadata") or {}).keys() & {"stagedoor/check", "stagedoor/readOnly"}
    if found is not None and found.method.upper() == "POST" and not found.keyed and not settled:
        name = step.task["with"]["operationId"]
        message = f"a retry of '{around.name}' sends POST '{name}' again, and its description knows no Idempotency-Key"
        hint = (
            "find out with stagedoor/check whether it was carried out, or describe the header if the service knows it"
        )
        yield Problem(step.path, message, hint, "warning")
