"""A place in a document that a user wrote: its value, its path, and what is wrong there."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from typing import Any

from stagedoor.errors import Problem
from stagedoor.workflow.expression import wrapped

Json = Any

COMMON = frozenset({"if", "input", "output", "export", "timeout", "then", "metadata"})
"""Keys that every task may have."""


_NO_URI = re.compile(r"^$|^\s*\$\{|\s")


class Place:
    """Asks of a value what it must be; answers with problems instead of exceptions, so that all of them are found."""

    __slots__ = ("given", "path", "problems", "value")

    def __init__(
        self, value: Json, path: tuple[str | int, ...], problems: list[Problem], *, given: bool = True
    ) -> None:
        self.value = value
        self.given = given
        """False where the document has nothing, not even null."""
        self.path = path
        self.problems = problems

    def at(self, key: str | int) -> Place:
        """Below; ``None`` where there is nothing."""
        value = self.value
        if isinstance(value, dict):
            below, given = value.get(key), key in value
        elif isinstance(value, list) and isinstance(key, int) and key < len(value):
            below, given = value[key], True
        else:
            below, given = None, False
        return Place(below, (*self.path, key), self.problems, given=given)

    def problem(self, message: str, hint: str | None = None, severity: str = "error") -> None:
        found = Problem(self.path, message, hint, severity)
        if found not in self.problems:
            self.problems.append(found)

    def unsupported(self, what: str, hint: str | None = None) -> None:
        self.problem(f"not supported yet: {what}", hint)

    def mapping(self, required: Iterable[str] = (), minimum: int = 0) -> bool:
        """Whether it is an object with the required keys; says so if not."""
        if not isinstance(self.value, dict):
            self.problem(f"expected an object, found {kind(self.value)}")
            return False
        missing = [key for key in required if key not in self.value]
        for key in missing:
            near = suggestion(key, self.value)
            self.problem(f"{key!r} is missing", f"did you mean it by {near!r}?" if near else None)
        if len(self.value) < minimum:
            self.problem("expected at least one key, found an empty object")
            return False
        return not missing

    def keys(self, known: set[str], *, common: bool = True, unsupported: dict[str, str] | None = None) -> None:
        """Refuse every key of this object that is not known. ``common`` allows those that every task has."""
        allowed = known | COMMON if common else known
        for key in self.value:
            if unsupported and key in unsupported:
                self.at(key).unsupported(unsupported[key])
            elif key not in allowed:
                near = suggestion(key, allowed)
                hint = f"did you mean {near!r}?" if near else f"expected one of {', '.join(sorted(known))}"
                self.at(key).problem(f"unknown key {key!r}", hint)

    def items(self, minimum: int = 0) -> Iterator[tuple[str, Place]]:
        """Of a list of objects with one key each, as task lists and switches are."""
        if not isinstance(self.value, list):
            self.problem(f"expected a list, found {kind(self.value)}", "write each entry as '- name: …'")
            return
        if len(self.value) < minimum:
            self.problem("expected at least one entry, found an empty list")
        seen: set[str] = set()
        for index, item in enumerate(self.value):
            place = self.at(index)
            if not isinstance(item, dict) or len(item) != 1:
                found = (
                    "an object with " + (f"{len(item)} keys" if item else "none")
                    if isinstance(item, dict)
                    else kind(item)
                )
                place.problem(f"expected an object with one key, the name; found {found}", "is the indentation right?")
                continue
            name = next(iter(item))
            if name in seen:
                place.problem(f"the name {name!r} is used twice in this list")
                continue
            seen.add(name)
            yield name, place.at(name)

    def text(self) -> str | None:
        if isinstance(self.value, str):
            return self.value
        self.problem(f"expected a string, found {kind(self.value)}")
        return None

    def uri(self) -> None:
        """A reference to something, a template of one, or an expression."""
        text = self.text()
        if text is not None and not self.is_expression() and _NO_URI.search(text):
            self.problem(f"{text!r} is neither a URI nor an expression")

    def choice(self, values: Iterable[str], default: str) -> str:
        """One of some words, or the default where there is nothing."""
        if not self.given:
            return default
        if self.value in (known := list(values)):
            return str(self.value)
        near = suggestion(self.value, known)
        self.problem(f"{self.value!r} is not one of {', '.join(known)}", f"did you mean {near!r}?" if near else None)
        return default

    def is_expression(self) -> bool:
        return isinstance(self.value, str) and wrapped(self.value) is not None


def suggestion(word: Json, known: Iterable[str]) -> str | None:
    if not isinstance(word, str):
        return None
    words = list(known)
    close = get_close_matches(word, words, 1, 0.6) or [other for other in words if other.lower() == word.lower()]
    return close[0] if close else None


def kind(value: Json) -> str:
    """What a value is, in the words of JSON."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "a boolean"
    names = {str: "a string", int: "a number", float: "a number", list: "a list", dict: "an object"}
    return names.get(type(value), type(value).__name__)


def token(name: str) -> str:
    """A name as a token of a JSON pointer, RFC 6901 §3."""
    return name.replace("~", "~0").replace("/", "~1")
