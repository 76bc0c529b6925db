"""Tasks that are never reached."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from stagedoor.errors import Problem
from stagedoor.lint.step import Path, lists

Json = Any
END = None


def unreachable(document: Json) -> Iterator[Problem]:
    yield from _list(document["do"], ("do",))


def _list(tasks: Json, path: Path) -> Iterator[Problem]:
    names = [next(iter(item)) for item in tasks]
    reached, open = set(), [0] if names else []
    while open:
        index = open.pop()
        if index in reached or index >= len(names):
            continue
        reached.add(index)
        for target in _leads(tasks[index][names[index]]):
            if target == "continue":
                open.append(index + 1)
            elif target in names:
                open.append(names.index(target))
    for index, name in enumerate(names):
        if index not in reached:
            yield Problem((*path, index, name), f"'{name}' is never reached", None, "warning")
        for inner, below, _, branches in lists(tasks[index][name]):
            at = (*path, index, name, *below)
            # Branches do not follow each other.
            if below[0] == "fork" or branches:
                for number, item in enumerate(inner):
                    only = next(iter(item))
                    for more, further, _, _ in lists(item[only]):
                        yield from _list(more, (*at, number, only, *further))
            else:
                yield from _list(inner, at)


def _leads(task: Json) -> Iterator[str]:
    """Where it may go on; an ``if`` that does not hold goes to the next task."""
    if "if" in task:
        yield "continue"
    if "raise" in task:
        return
    then = task.get("then", "continue")
    if "switch" not in task:
        yield then
        if "try" in task:
            yield task["catch"].get("then", then)
        return
    cases = [next(iter(item.values())) for item in task["switch"]]
    for case in cases:
        yield case.get("then", "continue")
    if all("when" in case for case in cases):
        yield then
