"""The JSON Schema (draft 2020-12) of the configuration file: for editors, and the one reflection of the models."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

from stagedoor.config.docstrings import describe
from stagedoor.config.settings import Settings

Json = dict[str, Any]


@cache
def schema() -> Json:
    """With the keys that are dealt with before the models see the file."""
    made = Settings.model_json_schema()
    describe(made)
    made = _without_null(made)
    made["properties"] = {
        "include": {
            "type": "array",
            "items": {"type": "string"},
            "default": [],
            "description": "Globs of further files, relative to this one. Their maps of named things are merged.",
        },
        **made["properties"],
    }
    # A file may be a part that another one includes.
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": "https://stagedoor.dev/schema/stagedoor.json",
        **made,
        "title": "stagedoor.yaml",
    }


def _without_null(part: Any) -> Any:
    """No option accepts null: where Python says None, the file leaves the key out."""
    if isinstance(part, list):
        return [_without_null(item) for item in part]
    if not isinstance(part, dict):
        return part
    cleaned = {key: _without_null(value) for key, value in part.items() if not _says_nothing(part, key)}
    branches = cleaned.get("anyOf")
    if isinstance(branches, list) and {"type": "null"} in branches:
        rest = [branch for branch in branches if branch != {"type": "null"}]
        if len(rest) == 1:
            del cleaned["anyOf"]
            cleaned = rest[0] | cleaned
        else:
            cleaned["anyOf"] = rest
    if isinstance(cleaned.get("title"), str):
        del cleaned["title"]
    return cleaned


def _says_nothing(part: Json, key: str) -> bool:
    """Defaults that are None or that the referenced model has itself; bounds in units that JSON does not know."""
    if key == "default":
        return part[key] is None or "$ref" in part
    return key in ("ge", "le") and "x-unit" in part


def _branches(part: Json) -> Iterator[Json]:
    """A schema, resolved, and each of its alternatives."""
    if "$ref" in part:
        yield from _branches(schema()["$defs"][part["$ref"].rpartition("/")[2]])
    yield part
    for choice in (*part.get("anyOf", ()), *part.get("oneOf", ())):
        yield from _branches(choice)


def at(path: tuple[str | int, ...]) -> list[Json]:
    """Every schema that a value at this path may follow."""
    here = list(_branches(schema()))
    for step in path:
        below: list[Json] = []
        for part in here:
            if isinstance(step, int):
                child = part.get("items")
            else:
                child = part.get("properties", {}).get(step)
                if child is None:
                    child = part.get("additionalProperties") or next(
                        iter(part.get("patternProperties", {}).values()), None
                    )
            if isinstance(child, dict):
                below.extend(_branches(child))
        here = below
    return here


def keys(path: tuple[str | int, ...]) -> list[str]:
    """The keys that a map at this path may have."""
    return list(dict.fromkeys(key for part in at(path) for key in part.get("properties", {})))


def options() -> Iterator[tuple[str, str, Json]]:
    """(model, key, schema) of every option of the file."""
    for key, part in schema()["properties"].items():
        yield "Settings", key, part
    for model, definition in schema()["$defs"].items():
        for key, part in definition.get("properties", {}).items():
            yield model, key, part
