"""Tasks that say how they are undone: what they say, and their undo as an entry of the list."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from stagedoor.errors import Problem
from stagedoor.portable.expression import source
from stagedoor.portable.losses import Path
from stagedoor.portable.undo import RETRY, Undo
from stagedoor.workflow.expression import wrapped
from stagedoor.workflow.tasks import KINDS

if TYPE_CHECKING:
    from stagedoor.portable.lower import Lowering, Within

Json = Any
MAX_DEPTH = 32
"""Functions that call functions; a right document has no circles of them."""
OWN = tuple(f"stagedoor/{word}" for word in ("compensate", "check", "pivot", "irreversible", "readOnly", "saga"))
"""Keys of metadata that are about undoing."""
OUTSIDE = ("if", "input", "then")
"""Of a task that is put into a list with what comes before it."""


def own(task: Json) -> dict[str, Json]:
    """What its metadata says about undoing, which is taken out of it."""
    metadata = task.get("metadata")
    if not isinstance(metadata, dict):
        return {}
    said = {key: metadata.pop(key) for key in OWN if key in metadata}
    if not metadata:
        del task["metadata"]
    return said


def undoable(value: Json, functions: Json, depth: int = 0) -> bool:
    """Whether something in it is undone, also in a function that it calls."""
    if isinstance(value, dict):
        metadata = value.get("metadata")
        if isinstance(metadata, dict) and "stagedoor/compensate" in metadata:
            return True
        called = value.get("call")
        body = functions.get(called) if isinstance(called, str) and depth < MAX_DEPTH else None
        if undoable(body, functions, depth + 1):
            return True
        return any(undoable(item, functions, depth) for key, item in value.items() if key != "metadata")
    return isinstance(value, list) and any(undoable(item, functions, depth) for item in value)


def register(lowering: Lowering, name: str, task: Json, path: Path, within: Within, said: Json) -> Json:
    """The task with the entry of its undo as its export."""
    at = (*path, "metadata", "stagedoor/compensate")
    call, body = _body(lowering, said)
    if has(body, "export"):
        message = f"the undo of '{name}' exports to a context of its own, which it has not in the plain form"
        lowering.problems.append(Problem(at, message, "pass the data from task to task"))
    if says(body, "then", "end"):
        message = f"the undo of '{name}' says then: end, which would end the workflow in the plain form"
        lowering.problems.append(Problem(at, message, "say exit"))
    on_failure = said.get("onFailure", lowering.policy.get("onCompensationFailure", "suspend"))
    at_start = said.get("register") == "onStart"
    for kind, lost in (
        ("suspend", on_failure == "suspend"),
        ("unknown", (has(task, "call") or has(task, "run")) and not at_start),
        ("arguments", "use" in said and "with" in said and wrapped(str(said["with"])) is not None),
        ("again", within.retried),
    ):
        if lost:
            lowering.losses.add(kind, path, name)
    undo = Undo(lowering.name(name), name, call, body, said.get("retry", RETRY), on_failure, within.sagas)
    lowering.undos.known.append(undo)
    arguments = source(said["with"]) if "use" in said and "with" in said else "."
    journal = lowering.journal
    journal.change(task, journal.done(undo.name, within.saga, arguments, begun=at_start))
    if not at_start:
        return task
    if "switch" in task:
        lowering.problems.append(Problem(at, "a switch has no undo before it begins in the plain form"))
    begins: Json = {"set": "${ . }"}
    journal.change(begins, journal.begun(undo.name, within.saga, arguments))
    outside = {key: task.pop(key) for key in OUTSIDE if key in task}
    return {**outside, "do": [{"begins": begins}, {name: task}]}


def _body(lowering: Lowering, said: Json) -> tuple[str, Json]:
    """What undoes it, as a task, and how that is called."""
    if "use" not in said:
        body = {key: value for key, value in said.items() if key not in ("register", "retry", "onFailure")}
        return next(key for key in KINDS if key in body), copy.deepcopy(body)
    called = said["use"]
    lowering.used.add(called)
    if called not in lowering.bodies:
        # Of a catalog.
        return "undo", {"call": called}
    body = copy.deepcopy(lowering.bodies[called])
    own(body)
    return called, body


def has(value: Json, key: str) -> bool:
    """Whether a key is anywhere in it."""
    if isinstance(value, dict):
        return key in value or any(has(item, key) for item in value.values())
    return isinstance(value, list) and any(has(item, key) for item in value)


def says(value: Json, key: str, word: str) -> bool:
    """Whether a key has this word anywhere in it."""
    if isinstance(value, dict):
        return value.get(key) == word or any(says(item, key, word) for item in value.values())
    return isinstance(value, list) and any(says(item, key, word) for item in value)
