"""The fields that a JSON Schema of an OpenAPI document describes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

Json = Any
Way = tuple[str | None, ...]
"""Steps into a value: a field, or None for every item of a list."""
_DEPTH = 100
_PARTS = 1000
"""Schemas that one is made of."""
_ANYTHING = object()


@dataclass(slots=True)
class Members:
    """Of an object that may be described by several schemas at once."""

    fields: dict[str, list[Json]] = field(default_factory=dict)
    items: list[Json] = field(default_factory=list)
    anything: bool = False
    """Other fields may be there as well."""
    closed: bool = True
    """The schemas themselves say that there are no others."""


@dataclass(frozen=True, slots=True)
class Missing:
    """A field that is not described."""

    way: Way
    """To the field, which is its last step."""
    known: list[str]
    """The fields beside which it would stand."""
    closed: bool


def missing(document: Json, schemas: Sequence[Json], way: Way, through_lists: bool) -> Missing | None:
    """The first step of a way that none of the schemas knows; None where one does, or might. ``through_lists``: a
    field of a list is that of its items."""
    for index, step in enumerate(way):
        found = _members(document, schemas)
        if step is None:
            if found.anything or not found.items:
                return None
            schemas = found.items
            continue
        while through_lists and found.items and not found.fields and not found.anything:
            found = _members(document, found.items)
        if found.anything or (found.items and (not through_lists or found.fields)):
            return None
        if step not in found.fields:
            return Missing(way[: index + 1], list(found.fields), found.closed)
        schemas = found.fields[step]
    return None


def resolve(document: Json, value: Json) -> Json:
    """What a reference leads to; None where it leads nowhere."""
    for _ in range(_DEPTH):
        if not isinstance(value, dict) or not isinstance(value.get("$ref"), str):
            return value
        value = _pointed(document, value["$ref"])
    return None


def _pointed(document: Json, reference: str) -> Json:
    if not reference.startswith("#/") and reference != "#":
        return None
    value = document
    for step in reference[2:].split("/") if reference != "#" else ():
        key = unquote(step).replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict):
            value = value.get(key)
        elif isinstance(value, list) and key.isdecimal() and int(key) < len(value):
            value = value[int(key)]
        else:
            return None
    return value


def _members(document: Json, schemas: Iterable[Json]) -> Members:
    found = Members()
    for schema in schemas:
        before = (len(found.fields), len(found.items))
        scalar = False
        for count, part in enumerate(_parts(document, schema, 0)):
            if part is _ANYTHING or count == _PARTS:
                found.anything = True
                break
            scalar |= _is_scalar(part)
            properties = part.get("properties")
            for name, value in properties.items() if isinstance(properties, dict) else ():
                found.fields.setdefault(name, []).append(value)
            if isinstance(part.get("items"), dict):
                found.items.append(part["items"])
            found.anything |= bool(part.get("prefixItems") or part.get("patternProperties"))
            found.anything |= any(part.get(key) not in (None, False) for key in ("additionalProperties", "contains"))
            found.closed &= part.get("additionalProperties") is False or "properties" not in part
        # A schema that describes no field lets any be there.
        found.anything |= before == (len(found.fields), len(found.items)) and not scalar
    return found


def _parts(document: Json, schema: Json, depth: int) -> Iterator[Json]:
    """A schema and those that it is made of, whether all of them hold or one."""
    if depth > _DEPTH or not isinstance(schema, dict) or "$dynamicRef" in schema or "unevaluatedProperties" in schema:
        yield _ANYTHING
        return
    if "$ref" in schema:
        target = resolve(document, schema)
        yield from _parts(document, target, depth + 1)
    yield schema
    for key in ("allOf", "anyOf", "oneOf"):
        for each in schema.get(key) or () if isinstance(schema.get(key), list) else ():
            if key == "allOf" and isinstance(each, dict) and not each:
                continue
            if key != "allOf" and each in (True, {}):
                yield _ANYTHING
            yield from _parts(document, each, depth + 1)
    for key in ("then", "else"):
        if isinstance(schema.get(key), dict):
            yield from _parts(document, schema[key], depth + 1)
    if "dependentSchemas" in schema:
        yield _ANYTHING


def _is_scalar(schema: Json) -> bool:
    kinds = schema.get("type")
    named = {kinds} if isinstance(kinds, str) else set(kinds) if isinstance(kinds, list) else set()
    return bool(named) and not named & {"object", "array"}
