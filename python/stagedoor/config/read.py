"""YAML 1.2 text → nodes. libyaml frames and scans; types, duplicates, aliases and bounds are decided here."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import yaml

from stagedoor.config.node import Mapping, Node, Place, Scalar, Sequence, Source
from stagedoor.config.problem import Located, did_you_mean
from stagedoor.config.scalar import resolve

MAX_BYTES = 64 * 1024 * 1024
"""A larger file is refused."""
MAX_DEPTH = 100
"""Deeper nesting is refused."""
MAX_ALIASED = 1_000_000
"""Nodes that aliases may stand for in one document, counted each time: the bound against "billion laughs"."""
MAX_DUPLICATES = 100
"""Further keys that were given before are not told."""

_TAGS = {
    "tag:yaml.org,2002:str", "tag:yaml.org,2002:int", "tag:yaml.org,2002:float", "tag:yaml.org,2002:bool",
    "tag:yaml.org,2002:null", "tag:yaml.org,2002:seq", "tag:yaml.org,2002:map", "!",
}  # fmt: skip
_LOADER: Any = getattr(yaml, "CLoader", yaml.Loader)
"""Only its events are used, never its constructors; without libyaml the pure one yields the same, slower."""


class Unreadable(Exception):
    """Text that is no YAML document."""

    def __init__(self, problem: Located) -> None:
        super().__init__(str(problem))
        self.problem = problem


def read(source: Source) -> tuple[Node, list[Located]]:
    """The document and the problems that leave it readable (duplicate keys, unknown tags). Raises Unreadable."""
    reader = _Reader(source, _events(source))
    return reader.document(), reader.problems


def _events(source: Source) -> Any:
    try:
        return _LOADER(source.text)
    except yaml.YAMLError as error:
        raise Unreadable(_syntax(source, error)) from None


@dataclass(slots=True)
class _Reader:
    source: Source
    loader: Any
    problems: list[Located] = field(default_factory=list)
    anchors: dict[str, tuple[Node, int] | None] = field(default_factory=dict)
    """Each with its size; None while it is still open."""
    aliased: int = 0

    def document(self) -> Node:
        self.next()
        if isinstance(self.peek(), yaml.StreamEndEvent):
            return Mapping(Place(self.source, 1, 1))
        self.next()
        node, _ = self.node(())
        self.next()
        after = self.peek()
        if not isinstance(after, yaml.StreamEndEvent):
            self.fail(after, (), "a second document begins here, where one file holds one document")
        return node

    def next(self) -> Any:
        try:
            return self.loader.get_event()
        except yaml.YAMLError as error:
            raise Unreadable(_syntax(self.source, error)) from None

    def peek(self) -> Any:
        try:
            return self.loader.peek_event()
        except yaml.YAMLError as error:
            raise Unreadable(_syntax(self.source, error)) from None

    def place(self, event: Any) -> Place:
        mark = event.start_mark
        return Place(self.source, mark.line + 1, mark.column + 1)

    def fail(self, event: Any, path: tuple[str | int, ...], message: str) -> None:
        raise Unreadable(Located(self.place(event), path, message))

    def node(self, path: tuple[str | int, ...]) -> tuple[Node, int]:
        """The next node and how many nodes it holds, aliases counted in full."""
        event = self.next()
        if isinstance(event, yaml.AliasEvent):
            return self.alias(event, path)
        if len(path) > MAX_DEPTH:
            self.fail(event, (), f"nested more than {MAX_DEPTH} deep")
        if event.anchor is not None:
            self.anchors[event.anchor] = None
        if event.tag is not None and event.tag not in _TAGS:
            problem = f"the tag '{event.tag}' is not known; values are text, numbers, true, false, null, lists and maps"
            self.problems.append(Located(self.place(event), path, problem))
        node: Node
        if isinstance(event, yaml.ScalarEvent):
            node, size = self.scalar(event), 1
        elif isinstance(event, yaml.SequenceStartEvent):
            node, size = self.sequence(event, path)
        else:
            node, size = self.mapping(event, path)
        if event.anchor is not None:
            self.anchors[event.anchor] = (node, size)
        return node, size

    def alias(self, event: Any, path: tuple[str | int, ...]) -> tuple[Node, int]:
        known = self.anchors.get(event.anchor)
        if event.anchor not in self.anchors:
            raise Unreadable(
                Located(
                    self.place(event),
                    path,
                    f"the anchor '&{event.anchor}' is not defined before this",
                    did_you_mean(event.anchor, self.anchors),
                )
            )
        if known is None:
            self.fail(event, path, f"the alias '*{event.anchor}' is inside of what it stands for")
            raise AssertionError
        node, size = known
        self.aliased += size
        if self.aliased > MAX_ALIASED:
            self.fail(event, path, f"aliases stand for more than {MAX_ALIASED:,} values in all")
        if len(path) + _height(node) > MAX_DEPTH:
            self.fail(event, (), f"nested more than {MAX_DEPTH} deep")
        return node, size

    def scalar(self, event: Any) -> Scalar:
        plain_style = event.implicit[0] and event.tag is None
        value = resolve(event.value) if plain_style else event.value
        if event.tag is not None and event.tag.startswith("tag:yaml.org,2002:") and not event.tag.endswith(":str"):
            value = resolve(event.value)
        return Scalar(self.place(event), value, event.value, quoted=not plain_style)

    def sequence(self, event: Any, path: tuple[str | int, ...]) -> tuple[Sequence, int]:
        node, size = Sequence(self.place(event)), 1
        while not isinstance(self.peek(), yaml.SequenceEndEvent):
            item, items = self.node((*path, len(node.items)))
            node.items.append(item)
            size += items
        self.next()
        return node, size

    def mapping(self, event: Any, path: tuple[str | int, ...]) -> tuple[Mapping, int]:
        node, size = Mapping(self.place(event)), 1
        while not isinstance(self.peek(), yaml.MappingEndEvent):
            key_event = self.peek()
            key, _ = self.node(path)
            place = self.place(key_event)
            if not isinstance(key, Scalar):
                self.fail(key_event, path, "a key is text, not a list or a map")
                raise AssertionError
            name = key.written
            value, values = self.node((*path, name))
            size += values + 1
            if name not in node.entries:
                node.entries[name] = value
                node.keys[name] = place
            elif len(self.problems) < MAX_DUPLICATES:
                first = node.keys[name]
                message = f"the key '{name}' was given before, at line {first.line}, column {first.column}"
                self.problems.append(Located(place, (*path, name), message, "remove one of the two"))
        self.next()
        return node, size


def _height(node: Node) -> int:
    """Levels below a node."""
    below = node.entries.values() if isinstance(node, Mapping) else node.items if isinstance(node, Sequence) else ()
    return 1 + max(map(_height, below)) if below else 0


def _syntax(source: Source, error: yaml.YAMLError) -> Located:
    """libyaml's words with what people most often did."""
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None)
    if mark is None or problem is None:
        position = getattr(error, "position", None)
        before = source.text[:position] if isinstance(position, int) else ""
        place = Place(source, before.count("\n") + 1, len(before) - before.rfind("\n"))
        return Located(place, (), "not YAML: a character that YAML does not allow")
    lines = source.text.split("\n")
    context, context_mark = getattr(error, "context", None), getattr(error, "context_mark", None)
    begun = f" {context}" if context else ""
    if context_mark is not None and context_mark.line != mark.line:
        begun += f" that begins at line {context_mark.line + 1}, column {context_mark.column + 1}"
    line = lines[mark.line] if mark.line < len(lines) else ""
    indentation = line[: len(line) - len(line.lstrip())]
    hint = None
    if "\t" in indentation or line[mark.column : mark.column + 1] == "\t":
        hint = "indent with spaces: YAML does not allow tabs there"
    elif "mapping values are not allowed" in problem:
        hint = "put text that holds ': ' in quotes, or check the indentation"
    elif line[mark.column : mark.column + 1] in ("@", "%", "`"):
        hint = f"put text that begins with '{line[mark.column]}' in quotes"
    return Located(Place(source, mark.line + 1, mark.column + 1), (), f"not YAML: {problem}{begun}", hint)
