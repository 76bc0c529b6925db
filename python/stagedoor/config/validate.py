"""Data → Settings, with every problem at its place and in the user's words."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from stagedoor.config import schema
from stagedoor.config.node import Mapping, Node, Scalar, Sequence, find, plain, scalars
from stagedoor.config.problem import Located, Path, did_you_mean, listed
from stagedoor.config.settings import Settings

NAMED = ("listeners", "consumers", "clusters", "routes")
"""Sections whose keys are names that the user chose."""
SECRET = ("consumers", "admin")
"""Sections of which no value is ever shown."""
_STAND_IN = {"listeners": {"stand-in": {"bind": "127.0.0.1:0"}}}
"""So that the rest can be looked at where the listeners are wrong."""
_LITERAL = re.compile(r"'([^']*)'")


def validate(root: Node) -> tuple[Settings | None, list[Located]]:
    """The settings, and everything wrong with them. Where there are errors, what is right is returned, so that its
    references can be checked too; None if nothing can be made of it."""
    if not isinstance(root, Mapping):
        return None, [Located(root.place, (), f"expected a map of {listed(schema.keys(()))}, found {_kind(root)}")]
    problems = list(_empty(root))
    empty = {problem.path for problem in problems}
    data = plain(root)
    for path in sorted(empty, key=len, reverse=True):
        _remove(data, path)
    for _ in range(4):
        try:
            return Settings.model_validate(data), problems
        except ValidationError as error:
            details = error.errors(include_url=False, include_input=False)
            # A value that is empty has been told, and is not missing as well.
            told = (_located(root, detail) for detail in details if not _is_empty(root, detail, empty))
            problems.extend(told)
            for detail in details:
                _drop(data, detail["loc"])
    return None, problems


def _empty(root: Node) -> Iterable[Located]:
    for path, scalar in scalars(root):
        if scalar.value is None:
            expected = _expected(path)
            yield Located(find(root, path)[0], path, f"has no value; expected {expected}")


def _is_empty(root: Node, detail: ErrorDetails, empty: set[Path]) -> bool:
    return detail["type"] == "missing" and _path(root, detail["loc"]) in empty


def _remove(data: Any, path: Path) -> None:
    for step in path[:-1]:
        data = data[step]
    if isinstance(data, dict):
        data.pop(path[-1], None)
    else:
        del data[path[-1]]


def _drop(data: dict[str, Any], loc: tuple[str | int, ...]) -> None:
    """Take away what is wrong: one named thing, or a whole section."""
    section = loc[0] if loc else None
    entries = data.get(section) if isinstance(section, str) else None
    if section in NAMED and isinstance(entries, dict) and len(loc) > 1:
        entries.pop(loc[1], None)
    else:
        data.pop(str(section), None)
    if not data.get("listeners"):
        data.update(_STAND_IN)


def _path(root: Node, loc: tuple[str | int, ...]) -> Path:
    """The path in the document: without the tags of alternatives, which are in ``<>``."""
    return tuple(step for step in loc if not (isinstance(step, str) and step.startswith("<") and step.endswith(">")))


def _located(root: Node, detail: ErrorDetails) -> Located:
    path = _path(root, detail["loc"])
    if path and path[-1] == "[key]":
        path = path[:-1]
    place, node = find(root, path)
    message, hint = _words(detail, path, node)
    return Located(place, path, message, hint)


def _words(detail: ErrorDetails, path: Path, node: Node) -> tuple[str, str | None]:
    kind, context = detail["type"], detail.get("ctx", {})
    key = str(path[-1]) if path else ""
    if kind == "extra_forbidden":
        known = schema.keys(path[:-1])
        return "unknown key", did_you_mean(key, known) or f"known here: {listed(known)}"
    if kind == "missing":
        return "is required and missing", f"expected {_expected(path)}"
    if kind in ("unit", "wrong"):
        message = context["message"] if kind == "wrong" else detail["msg"]
        return message + ("" if context.get("hint") else _found(path, node)), context.get("hint")
    if kind == "literal_error":
        known = _LITERAL.findall(str(context.get("expected", "")))
        alternative = _alternative(detail["loc"])
        written = node.written if isinstance(node, Scalar) else ""
        return f"expected {alternative}{_any_of(known)}{_found(path, node)}", did_you_mean(written, known)
    if kind == "target":
        given = list(node.entries) if isinstance(node, Mapping) else []
        near = next((hint for word in given if (hint := did_you_mean(word, ["cluster", "workflow", "response"]))), None)
        return detail["msg"] + ("" if given else _found(path, node)), near
    if kind in _BOUNDS:
        return _BOUNDS[kind].format(**context) + _found(path, node), None
    if kind == "string_pattern_mismatch":
        return "expected letters, digits, '_', '.' and '-', at most 100", None
    if kind.endswith("_type"):
        quote = isinstance(node, Scalar) and kind == "string_type"
        return f"expected {_expected(path)}, found {_kind(node)}", "put it in quotes" if quote else None
    return detail["msg"] + _found(path, node), None


_BOUNDS = {
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "too_short": "needs at least {min_length}",
    "too_long": "may have at most {max_length}",
    "string_too_short": "needs at least {min_length} characters",
    "string_too_long": "may have at most {max_length} characters",
}


def _alternative(loc: tuple[str | int, ...]) -> str:
    """Where a word stands for a map, say so."""
    return "settings or " if loc[-1] == "<off>" else ""


def _any_of(words: list[str]) -> str:
    return f"'{words[0]}'" if len(words) == 1 else "one of " + listed(f"'{word}'" for word in words)


def _kind(node: Node) -> str:
    if isinstance(node, Mapping):
        return "a map"
    if isinstance(node, Sequence):
        return "a list"
    match node.value:
        case None:
            return "nothing"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
    return "text"


def _found(path: Path, node: Node) -> str:
    """The value as it stands in the file; never that of a secret or a reference."""
    if path[:1] and path[0] in SECRET and path[-1] != "bind":
        return ""
    if not isinstance(node, Scalar):
        return f", found {_kind(node)}"
    short = node.written if len(node.written) <= 40 else node.written[:37] + "…"
    return f", found '{short}'" if isinstance(node.value, str) else f", found {short}"


_KINDS = {
    "object": "a map",
    "array": "a list",
    "string": "text",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
}


def _expected(path: Path) -> str:
    """What the schema asks for at this path."""
    kinds: dict[str, None] = {}
    for part in schema.at(path):
        if "const" in part or "enum" in part:
            words = part.get("enum") or [part["const"]]
            kinds |= dict.fromkeys(f"'{word}'" for word in words)
        elif "x-unit" in part:
            kinds[part["x-unit"]] = None
        elif "type" in part:
            kinds[_KINDS.get(part["type"], part["type"])] = None
    return " or ".join(kinds) or "a value"
