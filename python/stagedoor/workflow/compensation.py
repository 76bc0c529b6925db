"""What a document's metadata says about undoing: of a task, and of the document as a whole."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any, cast

from stagedoor.workflow import retry
from stagedoor.workflow.attribute import ATTRIBUTES
from stagedoor.workflow.definition import Compensation, Mark, OnFailure, SagaPolicy
from stagedoor.workflow.expression import BASE, Template
from stagedoor.workflow.invalidation import INVALIDATE
from stagedoor.workflow.place import Place, suggestion, token
from stagedoor.workflow.retry import Backoff, Retry

if TYPE_CHECKING:
    from stagedoor.workflow.compiler import Compiler, Within

Json = Any

COMPENSATE = "stagedoor/compensate"
SAGA = "stagedoor/saga"
CHECK = "stagedoor/check"
READ_ONLY = "stagedoor/readOnly"
"""Says that a call changes nothing, whatever its method: for ``check``, which then asks for no undo."""
MARKS: dict[str, Mark] = {"stagedoor/pivot": "pivot", "stagedoor/irreversible": "irreversible"}
UNDO_RETRY = Retry(delay=0.5, backoff=Backoff(kind="exponential"), count=4)
"""Of an undo that names no policy: five attempts within about eight seconds."""
FAILURES = ("suspend", "continue", "fault")


def compile(
    metadata: Place, reference: str, compiler: Compiler, within: Within, kinds: Iterable[str]
) -> Compensation | None:
    """``kinds`` are the keys by which a task that is written out is known."""
    if not metadata.mapping():
        return None
    _own_keys(metadata, {COMPENSATE, INVALIDATE, CHECK, SAGA, READ_ONLY, ATTRIBUTES, *MARKS})
    if COMPENSATE not in metadata.value:
        return None
    place = metadata.at(COMPENSATE)
    if within.undo:
        place.problem("an undo cannot have an undo of its own")
        return None
    if not place.mapping(minimum=1):
        return None
    said = place.value
    undo = replace(within, variables=BASE, siblings=(), depth=within.depth + 1, functions=(), undo=True, plain=True)
    reference = f"{reference}/metadata/{token(COMPENSATE)}"
    arguments: Template | None = None
    if "use" in said:
        place.keys({"use", "with", "register", "retry", "onFailure"}, common=False)
        call = str(said["use"])
        task = compiler.function(place.at("use"), said["use"], reference, undo)
        if "with" in said:
            arguments = compiler.template(place.at("with"), (*within.variables, "$output", "$outcome"))
    else:
        rest = {name: value for name, value in said.items() if name not in ("register", "retry", "onFailure")}
        call = next((name for name in rest if name in kinds), "undo")
        task = compiler.task(call, Place(rest, place.path, place.problems), reference, undo)
    if task is None:
        return None
    failure = place.at("onFailure").choice(FAILURES, within.saga.on_failure)
    register = place.at("register").choice(("onStart", "onComplete"), "onComplete")
    policy = retry.compile(place.at("retry"), (*BASE, "$error"), compiler) if "retry" in said else UNDO_RETRY
    compiler.undoable.add(str(metadata.path[-2]))
    return Compensation(
        task=task,
        call=call,
        arguments=arguments,
        on_start=register == "onStart",
        retry=policy,
        on_failure=cast(OnFailure, failure),
    )


def mark(task: Place) -> Mark | None:
    """What a task says of undoing beside how."""
    metadata = task.at("metadata")
    if not isinstance(metadata.value, dict):
        return None
    if SAGA in metadata.value and not {"do", "try"} & task.value.keys():
        metadata.at(SAGA).problem(
            "only do and try are sagas of their own", "put the tasks that belong together into a do"
        )
    said = [key for key in (COMPENSATE, *MARKS) if key in metadata.value]
    for key in (READ_ONLY, *MARKS):
        if key in metadata.value and metadata.value[key] is not True:
            metadata.at(key).problem(f"{key} is true, or is left out")
    if len(said) > 1:
        metadata.at(said[-1]).problem(f"{' and '.join(said)} exclude each other")
    return MARKS.get(said[-1]) if said else None


def scope(task: Place) -> SagaPolicy | None:
    """Of a ``do`` or a ``try`` that is a saga of its own."""
    metadata = task.at("metadata")
    if not isinstance(metadata.value, dict) or SAGA not in metadata.value:
        return None
    saga = metadata.at(SAGA)
    if not saga.mapping():
        return None
    saga.keys({"order"}, common=False)
    return SagaPolicy(parallel=saga.at("order").choice(("reverse", "parallel"), "reverse") == "parallel")


def saga(document: Place) -> SagaPolicy:
    """Of the workflow."""
    metadata = document.at("metadata")
    if metadata.value is None or not metadata.mapping():
        return SagaPolicy()
    _own_keys(metadata, {SAGA, ATTRIBUTES})
    if SAGA not in metadata.value:
        return SagaPolicy()
    saga = metadata.at(SAGA)
    if not saga.mapping():
        return SagaPolicy()
    saga.keys({"scope", "order", "onCompensationFailure"}, common=False)
    saga.at("scope").choice(("workflow",), "workflow")
    order = saga.at("order").choice(("reverse", "parallel"), "reverse")
    failure = saga.at("onCompensationFailure").choice(FAILURES, "suspend")
    return SagaPolicy(parallel=order == "parallel", on_failure=cast(OnFailure, failure))


def _own_keys(metadata: Place, known: set[str]) -> None:
    """Metadata belongs to the user, except for the keys that begin with ``stagedoor/``."""
    for key in metadata.value:
        if isinstance(key, str) and key not in known:
            near = suggestion(key, known)
            prefix, slash, _ = key.partition("/")
            if slash and SequenceMatcher(None, prefix, "stagedoor").ratio() > 0.85:
                hint = f"did you mean {near!r}?" if near else f"known here: {', '.join(sorted(known))}"
                metadata.at(key).problem(f"unknown metadata key {key!r}", hint)
