"""What the strings below the fields of models say, as descriptions in their JSON Schema.

pydantic can take them itself, but reads and parses the source of every class while it is imported: half of the time
that a command takes to start, for what only the schema needs.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from types import ModuleType
from typing import Any

from stagedoor.config.settings import Settings
from stagedoor.policies.model import Strict

Json = dict[str, Any]


def describe(schema: Json) -> None:
    """Fill in descriptions where a property has none."""
    definitions = schema.get("$defs", {})
    for model in _models(Strict):
        own = f"{model.__module__}.{model.__qualname__}".replace(".", "__")
        part = schema if model is Settings else definitions.get(own, definitions.get(model.__name__))
        if part is None:
            continue
        for name, text in _of_class(model):
            field = model.model_fields.get(name)
            shown = part["properties"].get(field.alias or name) if field is not None else None
            if shown is not None:
                shown.setdefault("description", text)


def _models(model: type[Strict]) -> Iterator[type[Strict]]:
    for below in model.__subclasses__():
        yield below
        yield from _models(below)


def _of_class(model: type[Strict]) -> Iterator[tuple[str, str]]:
    """The nearest class that says something of a field counts."""
    for each in reversed(model.__mro__):
        module = inspect.getmodule(each)
        if module is not None and issubclass(each, Strict):
            yield from _of_module(module).get(each.__qualname__, {}).items()


@cache
def _of_module(module: ModuleType) -> dict[str, dict[str, str]]:
    """Class → field → text."""
    found: dict[str, dict[str, str]] = {}
    for node in ast.walk(ast.parse(inspect.getsource(module))):
        if isinstance(node, ast.ClassDef):
            found[node.name] = dict(_of_body(node.body))
    return found


def _of_body(body: list[ast.stmt]) -> Iterator[tuple[str, str]]:
    for field, below in pairwise(body):
        said = below.value if isinstance(below, ast.Expr) else None
        if (
            isinstance(field, ast.AnnAssign)
            and isinstance(field.target, ast.Name)
            and isinstance(said, ast.Constant)
            and isinstance(said.value, str)
        ):
            yield field.target.id, inspect.cleandoc(said.value)
