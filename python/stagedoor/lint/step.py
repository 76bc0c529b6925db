"""The tasks of a document, with what surrounds each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from stagedoor.lint.operation import Operations, operation

Json = Any
Path = tuple[str | int, ...]
SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
COVERED = ("stagedoor/compensate", "stagedoor/pivot", "stagedoor/irreversible", "stagedoor/readOnly")


@dataclass(frozen=True, slots=True)
class Step:
    name: str
    task: Json
    path: Path
    repeated: bool
    """In a loop, so that the same task follows it."""
    beside: bool
    """In a branch, so that others run at the same time."""
    covered: bool
    """It, or what it is in, says how it is undone or that it need not be."""


def steps(
    tasks: Json, path: Path, *, repeated: bool = False, beside: bool = False, covered: bool = False
) -> Iterator[Step]:
    """Every task in a list, and those within it, in the order of the document."""
    for index, item in enumerate(tasks):
        name, task = next(iter(item.items()))
        at = (*path, index, name)
        own = covered or any(key in (task.get("metadata") or {}) for key in COVERED)
        yield Step(name, task, at, repeated, beside, own)
        for inner, below, loops, branches in lists(task):
            yield from steps(inner, (*at, *below), repeated=repeated or loops, beside=beside or branches, covered=own)


def lists(task: Json) -> Iterator[tuple[Json, Path, bool, bool]]:
    """The lists of tasks in a task: each with where it is, whether it is repeated, and whether it holds branches."""
    if "for" in task:
        yield task["do"], ("do",), True, False
    elif "do" in task:
        yield task["do"], ("do",), False, False
    if "fork" in task:
        yield task["fork"]["branches"], ("fork", "branches"), False, not task["fork"].get("compete", False)
    if "try" in task:
        yield task["try"], ("try",), False, False
        yield task["catch"].get("do") or [], ("catch", "do"), False, False
    if "listen" in task:
        yield (task.get("foreach") or {}).get("do") or [], ("foreach", "do"), True, False


def changes(task: Json, functions: Json, known: Operations, depth: int = 0) -> bool:
    """Whether the task itself changes something at a service, as far as can be seen. What is a list is judged by its
    tasks."""
    if "run" in task:
        return True
    called = task.get("call")
    if called is None:
        return False
    if called in functions and depth < 10:
        body = functions[called]
        return changes(body, functions, known, depth + 1) or any(
            changes(step.task, functions, known, depth + 1)
            for inner, below, _, _ in lists(body)
            for step in steps(inner, below)
        )
    given = task.get("with") or {}
    if called == "http":
        return str(given.get("method", "")).upper() not in SAFE
    if called == "openapi":
        found = operation(task, known)
        return found is not None and found.method.upper() not in SAFE
    if called == "mcp":
        return given.get("method") == "tools/call"
    return called in ("grpc", "activity")


def may_fail(task: Json) -> bool:
    """Whether it asks something of others, or fails on purpose."""
    return any(key in task for key in ("call", "run", "raise", "listen")) and task.get("call") != "compensate"
