"""A document with the place of every key and value."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

Json = Any


@dataclass(frozen=True, slots=True)
class Source:
    """A file that was read."""

    path: Path
    """Absolute."""
    name: str
    """As people see it in errors: relative to the working directory where it is below that."""
    text: str = field(repr=False)


class Place(NamedTuple):
    """A position in a file; line and column count from 1, a column is a character."""

    source: Source
    line: int
    column: int


@dataclass(slots=True)
class Scalar:
    place: Place
    value: str | int | float | bool | None
    written: str
    """As it stands in the file, before substitution: the only form that errors may show."""
    quoted: bool = False


@dataclass(slots=True)
class Sequence:
    place: Place
    items: list[Node] = field(default_factory=list)


@dataclass(slots=True)
class Mapping:
    place: Place
    entries: dict[str, Node] = field(default_factory=dict)
    keys: dict[str, Place] = field(default_factory=dict)
    """Where each key stands."""


Node = Scalar | Sequence | Mapping


def plain(node: Node) -> Json:
    """The bare data."""
    if isinstance(node, Mapping):
        return {key: plain(value) for key, value in node.entries.items()}
    if isinstance(node, Sequence):
        return [plain(item) for item in node.items]
    return node.value


def scalars(node: Node, path: tuple[str | int, ...] = ()) -> Iterator[tuple[tuple[str | int, ...], Scalar]]:
    """Every scalar with its path, in the order of the document."""
    if isinstance(node, Mapping):
        for key, value in node.entries.items():
            yield from scalars(value, (*path, key))
    elif isinstance(node, Sequence):
        for index, item in enumerate(node.items):
            yield from scalars(item, (*path, index))
    else:
        yield path, node


def find(node: Node, path: tuple[str | int, ...]) -> tuple[Place, Node]:
    """The place of the last step of ``path`` that exists (a key's place, where it is a key) and the node there."""
    place = node.place
    for step in path:
        key = _key(node, step) if isinstance(node, Mapping) and isinstance(step, str) else None
        if isinstance(node, Mapping) and key is not None:
            place, node = node.keys[key], node.entries[key]
        elif isinstance(node, Sequence) and isinstance(step, int) and 0 <= step < len(node.items):
            node = node.items[step]
            place = node.place
        else:
            break
    return place, node


def _key(node: Mapping, step: str) -> str | None:
    """The key as the file has it: names of headers are known in lower case only."""
    if step in node.entries:
        return step
    return next((key for key in node.entries if key.lower() == step.lower()), None)
