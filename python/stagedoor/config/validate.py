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

NAMED = ("listeners", "consumers", "plans", "clusters", "apis", "routes")
"""Sections whose keys are names that the user chose."""
SECRET = ("consumers", "admin")
"""Sections of which no value is ever shown."""
_STAND_IN = {"listeners": {"stand-in": {"bind": "127.0.0.1:0"}}}
"""So that the rest can be looked at where the listeners are wrong."""
_LITERAL = re.compile(r"'([^']*)'")


def validate(root: Node, told: frozenset[Path] = frozenset()) -> tuple[Settings | None, list[Located]]:
    """The settings, and everything wrong with them, but for the values at the paths ``told``. Where there are errors,
    what is right is returned, so that its references can be checked too; None if nothing can be made of it."""
    if not isinstance(root, Mapping):
        return None, [Located(root.place, (), f"expected a map of {listed(schema.keys(()))}, found {_kind(root)}")]
    problems = list(_empty(root))
    silent = told | {problem.path for problem in problems}
    data = plain(root)
    for _ in range(4):
        try:
            return Settings.model_validate(data), problems
        except ValidationError as error:
            for detail in error.errors(include_url=False, include_input=False):
                if _path(detail["loc"]) not in silent:
                    problems.append(_located(root, detail))
                _drop(data, detail["loc"])
    return None, problems


def _empty(root: Node) -> Iterable[Located]:
    for path, scalar in scalars(root):
        if scalar.value is None:
            expected = _expected(path)
            yield Located(find(root, path)[0], path, f"has no value; expected {expected}")


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


def _is_tag(step: str | int) -> bool:
    """Whether a step of pydantic's is the tag of an alternative."""
    return isinstance(step, str) and step.startswith("<") and step.endswith(">")


def _path(loc: tuple[str | int, ...]) -> Path:
    """The path in the document."""
    return tuple(step for step in loc if not _is_tag(step) and step != "[key]")


def _located(root: Node, detail: ErrorDetails) -> Located:
    path = _path(detail["loc"])
    place, node = find(root, path)
    if detail["loc"][-1:] == ("[key]",):
        node = Scalar(place, str(path[-1]), str(path[-1]))
    message, hint = _words(detail, path, node)
    if isinstance(node, Scalar) and isinstance(node.value, str) and node.value != node.written:
        # What a hint is made of came from the environment or another file.
        hint = None
    return Located(place, path, message, hint)


def _words(detail: ErrorDetails, path: Path, node: Node) -> tuple[str, str | None]:
    kind, context = detail["type"], detail.get("ctx", {})
    key = str(path[-1]) if path else ""
    if kind == "extra_forbidden":
        return _unknown_key(detail["loc"], path, key)
    if kind == "missing":
        return "is required and missing", f"expected {_expected(path)}"
    if kind in ("unit", "wrong"):
        message = context["message"] if kind == "wrong" else detail["msg"]
        return message + ("" if context.get("hint") else _found(path, node)), context.get("hint")
    if kind == "literal_error":
        known = _LITERAL.findall(str(context.get("expected", ""))) or ["true"]
        alternative = _alternative(detail["loc"])
        written = node.written if isinstance(node, Scalar) else ""
        numbers = re.findall(r"\b[0-9]+\b", str(context.get("expected", "")))
        if known == ["true"] and numbers:
            return f"expected {' or '.join(numbers)}{_found(path, node)}", None
        if known == ["true"]:
            return f"expected true{_found(path, node)}", None
        return f"expected {alternative}{_any_of(known)}{_found(path, node)}", did_you_mean(written, known)
    if kind == "target":
        given = list(node.entries) if isinstance(node, Mapping) else []
        near = next(
            (hint for word in given if (hint := did_you_mean(word, ["cluster", "workflow", "events", "response"]))),
            None,
        )
        return detail["msg"] + ("" if given else _found(path, node)), near
    if kind.endswith("too_short") and context.get("min_length") == 1:
        return "is empty", f"expected {_expected(path)}"
    if kind in _BOUNDS:
        unit = "characters" if isinstance(node, Scalar) else "entries"
        found = _found(path, node) if isinstance(node, Scalar) else ""
        return _BOUNDS[kind].format(unit=unit, **context) + found, None
    if kind.endswith("_type"):
        quote = isinstance(node, Scalar) and kind == "string_type"
        return f"expected {_expected(path)}{_found(path, node)}", "put it in quotes" if quote else None
    return detail["msg"] + _found(path, node), None


_BOUNDS = {
    "greater_than_equal": "must be at least {ge}",
    "less_than_equal": "must be at most {le}",
    "too_short": "is too short; {unit} needed: {min_length}",
    "too_long": "is too long; {unit} allowed: {max_length}",
    "string_too_short": "is too short; {unit} needed: {min_length}",
    "string_too_long": "is too long; {unit} allowed: {max_length}",
}


def _unknown_key(loc: tuple[str | int, ...], path: Path, key: str) -> tuple[str, str | None]:
    if key == "<<":
        return "unknown key: YAML 1.2 has no merge keys", "use an alias for the whole map, or repeat the settings"
    parts = schema.at(path[:-1])
    alternative = loc[-2] if len(loc) > 1 and _is_tag(loc[-2]) else None
    chosen = str(alternative)[1:-1]
    if any(part.get("required") == [chosen] for part in parts):
        if any(part.get("required") == [key] for part in parts):
            return f"does not go together with '{chosen}'", "a target leads to one place"
        parts = [part for part in parts if part.get("required", [chosen]) == [chosen]]
    known = list(dict.fromkeys(each for part in parts for each in part.get("properties", {})))
    return "unknown key", did_you_mean(key, known) or f"known here: {listed(known)}"


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
    if not isinstance(node, Scalar):
        return f", found {_kind(node)}"
    if path[:1] and path[0] in SECRET and path[-1] != "bind":
        return "" if isinstance(node.value, str) else f", found {_kind(node)}"
    of_cluster = path[:1] == ("clusters",) and "credentials" in path
    if of_cluster or any(key in ("secret", "secrets", "password", "token") for key in path):
        return ""
    if "@" in node.written:
        # A password may stand before it in a URL.
        return ""
    text = "".join(char if char.isprintable() else repr(char)[1:-1] for char in node.written)
    short = text if len(text) <= 40 else text[:37] + "…"
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
            words: list[Any] = part.get("enum") or [part["const"]]
            kinds.update({"true" if word is True else f"'{word}'": None for word in words})
        elif "x-unit" in part:
            kinds[str(part["x-unit"])] = None
        elif "type" in part:
            kinds[_KINDS.get(part["type"], str(part["type"]))] = None
    return " or ".join(kinds) or "a value"
