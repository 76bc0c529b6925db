"""What the plain form cannot say, and of which tasks."""

from __future__ import annotations

from typing import Any

from stagedoor.errors import Problem

Json = Any
Path = tuple[str | int, ...]

LOST = {
    "cancel": "a cancel undoes nothing: the specification has no task that hears of it",
    "report": "an error does not tell what was undone, and its instance is where it is raised again",
    "suspend": "if the undo of {tasks} fails for good, no operator is asked: the undos that are left are not run",
    "arguments": "if the arguments for the undo of {tasks} cannot be evaluated, the task has failed and is not undone",
    "unknown": "if a call of {tasks} gets no answer, it is taken for one that failed: its undo is not due "
    "(register: onStart makes it due)",
    "check": "nobody asks what became of {tasks} when an answer is missing: stagedoor/check has no plain form",
    "pivot": "if it is unknown what became of {tasks}, all before it is undone as if it had failed",
    "parallel": "the undos of {tasks} are run one after the other, the last one first",
    "timeout": "when the time of {tasks} is over, a call on its way is not waited for, so that its undo is not due",
    "again": "{tasks} may be done again by a retry of the whole block: it is undone as often as it was done",
    "fork": "the branches of {tasks} are not stopped when one fails, and are undone one branch after the other",
    "child": "what a workflow did that {tasks} ran is not undone",
    "report of": "{tasks} yields only a status and the names of what was undone; an undo that fails is its error",
    "beside": "what {tasks} undoes in a branch is not known outside of it: whoever asks or fails later undoes it again",
    "schema": "the export of {tasks} is not compared with its schema: it holds the list of undos too",
    "extensions": "extensions surround the tasks that undo as well",
    "context": "{key} is a key of $context that holds what is to be undone, so contexts are objects",
    "own": "{tasks} is understood by stagedoor alone",
    "cluster": "endpoints with cluster:// are understood by stagedoor alone: write URLs for another runtime",
}


class Losses:
    def __init__(self) -> None:
        self._found: dict[str, dict[str, Path]] = {}

    def add(self, kind: str, path: Path = ("do",), name: str = "") -> None:
        self._found.setdefault(kind, {}).setdefault(name, path)

    def problems(self, key: str) -> list[Problem]:
        """One for each kind, at its first task; ``key`` is the list's in the context."""
        return [
            Problem(
                next(iter(self._found[kind].values())),
                message.format(tasks=_listed(list(self._found[kind])), key=key),
                None,
                "warning",
            )
            for kind, message in LOST.items()
            if kind in self._found
        ]


def _listed(names: list[str]) -> str:
    quoted = [f"'{name}'" if name else "the workflow" for name in names]
    return quoted[0] if len(quoted) == 1 else ", ".join(quoted[:-1]) + f" and {quoted[-1]}"
