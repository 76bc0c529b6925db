"""Values of a document as one expression, so that they can be put into another one."""

from __future__ import annotations

import json
import re
from typing import Any

from stagedoor.workflow.expression import wrapped

Json = Any
_IDENTIFIER = re.compile(r"[A-Za-z_]\w*\Z")
_CONTEXT = re.compile(r"\$context\b")


def source(value: Json, *, bare: bool = False) -> str:
    """``bare``: a text is an expression even without ``${ }`` around it."""
    if isinstance(value, str):
        found = wrapped(value)
        if found is not None:
            return found.strip()
        return value.strip() if bare else json.dumps(value)
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_key(key)}: {_operand(source(item))}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_operand(source(item)) for item in value) + "]"
    return json.dumps(value)


def wrap(expression: str) -> str:
    return f"${{ {expression} }}"


def without_context(value: Json) -> Json:
    """The same with an empty context: an undo sees nothing else."""
    if isinstance(value, str):
        return _CONTEXT.sub("({})", value)
    if isinstance(value, dict):
        return {key: without_context(item) for key, item in value.items()}
    if isinstance(value, list):
        return [without_context(item) for item in value]
    return value


def _key(key: str) -> str:
    return key if _IDENTIFIER.match(key) else json.dumps(key)


def _operand(expression: str) -> str:
    """In an object or an array a comma or a pipe would end it."""
    return expression if re.fullmatch(r'[$.\w]+|"[^"\\]*"', expression) else f"({expression})"
