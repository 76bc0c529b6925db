"""Arguments of gRPC calls that their message has no field for."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from stagedoor._core import GrpcMethod
from stagedoor.errors import Problem
from stagedoor.lint.arguments import given
from stagedoor.lint.step import Path, lists, steps
from stagedoor.workflow.address import addresses
from stagedoor.workflow.definition import Definition
from stagedoor.workflow.expression import wrapped
from stagedoor.workflow.tasks.call_grpc import GrpcCall

Json = Any
_UNKNOWN = "has no such field"
"""What the data plane's own reading of a message says of it."""


def messages(definition: Definition) -> Iterator[Problem]:
    """As far as names are written out, also in an expression that is an object."""
    methods = {task.grpc.path: task.grpc.method for task in addresses(definition).tasks() if isinstance(task, GrpcCall)}
    for path, task in _tasks(definition.document) if methods else ():
        if task.get("call") == "grpc":
            said = task["with"]
            method = _called(methods, said["service"]["name"], said["method"])
            if method is not None:
                yield from _unknown(method, said.get("arguments") or {}, (*path, "with", "arguments"))


def _tasks(document: Json) -> Iterator[tuple[Path, Json]]:
    """All of them: those of functions and of undos too."""
    yield from _below(document["do"], ("do",))
    for name, body in ((document.get("use") or {}).get("functions") or {}).items():
        path = ("use", "functions", name)
        yield path, body
        for inner, further, _, _ in lists(body):
            yield from _below(inner, (*path, *further))


def _below(tasks: Json, path: Path) -> Iterator[tuple[Path, Json]]:
    for step in steps(tasks, path):
        yield step.path, step.task
        undo = (step.task.get("metadata") or {}).get("stagedoor/compensate")
        if isinstance(undo, dict) and "call" in undo:
            yield (*step.path, "metadata", "stagedoor/compensate"), undo


def _called(methods: dict[str, GrpcMethod], service: str, method: str) -> GrpcMethod | None:
    """A service is named in full, or by its last part."""
    ends = (f"/{service}/{method}", f".{service}/{method}")
    return next((found for path, found in methods.items() if path.endswith(ends)), None)


def _unknown(method: GrpcMethod, arguments: Json, path: Path) -> Iterator[Problem]:
    told: set[Path] = set()
    for way in _ways(arguments, ()):
        probe: Json = None
        for step in reversed(way):
            probe = [probe] if isinstance(step, int) else {step: probe}
        try:
            method.encode(json.dumps(probe))
        except ValueError as error:
            pointer, _, detail = str(error).partition(": ")
            at = way[: pointer.count("/")]
            if detail.endswith(_UNKNOWN) and at not in told:
                told.add(at)
                written = at if _is_there(arguments, at) else at[:-1]
                yield Problem(
                    (*path, *written), f"{detail.removesuffix(_UNKNOWN)}has no field {at[-1]!r}", None, "warning"
                )


def _ways(value: Json, way: Path) -> Iterator[Path]:
    """To everything that is written out: what it is does not count, only whether there is a place for it."""
    if isinstance(value, dict) and value:
        for key, item in value.items():
            yield from _ways(item, (*way, key))
    elif isinstance(value, list) and value:
        for index, item in enumerate(value):
            yield from _ways(item, (*way, index))
    else:
        names = given(value) if isinstance(value, str) and wrapped(value) is not None else None
        yield from [(*way, name) for name in sorted(names)] if names else [way]


def _is_there(value: Json, way: Path) -> bool:
    """Names that an expression makes are not."""
    for step in way:
        if isinstance(value, str):
            return False
        value = value[step]
    return True
