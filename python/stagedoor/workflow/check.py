"""``stagedoor/check``: was a call whose answer is missing carried out? Asked before it is repeated or undone."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from stagedoor.workflow.compensation import CHECK
from stagedoor.workflow.definition import Check
from stagedoor.workflow.error import Failure
from stagedoor.workflow.expression import BASE, Template
from stagedoor.workflow.place import Place, token

if TYPE_CHECKING:
    from stagedoor.workflow.compiler import Compiler, Within

Json = Any
Verdict = Literal["completed", "failed", "unknown"]

GONE = frozenset({404, 410})
"""A check that fails with these says that there is nothing: the call was not carried out."""


def compile(task: Place, reference: str, compiler: Compiler, within: Within) -> Check | None:
    """Of a call: ``use`` and ``with``, as a compensation has them."""
    metadata = task.at("metadata")
    if not isinstance(metadata.value, dict) or CHECK not in metadata.value:
        return None
    place = metadata.at(CHECK)
    if "call" not in task.value or task.value["call"] in compiler.functions:
        place.problem("only a call can be checked", "put it on the call itself, also within a function")
        return None
    if not place.mapping(required=("use",)):
        return None
    place.keys({"use", "with"}, common=False)
    inner = replace(within, variables=BASE, siblings=(), depth=within.depth + 1, functions=(), undo=True)
    found = compiler.function(place.at("use"), place.value["use"], f"{reference}/metadata/{token(CHECK)}", inner)
    arguments: Template | None = None
    if "with" in place.value:
        arguments = compiler.template(place.at("with"), within)
    return None if found is None else Check(task=found, arguments=arguments)


def completed(output: Json) -> tuple[Verdict, Json]:
    """What a check's answer says: ``{outcome, output}``, or the thing itself, which is then what the call made."""
    if isinstance(output, dict) and output.get("outcome") in ("completed", "failed", "unknown"):
        return output["outcome"], output.get("output")
    return "completed", output


def failed(failure: Failure) -> Verdict:
    """What a failed check says."""
    return "failed" if not failure.unknown and failure.error.get("status") in GONE else "unknown"
