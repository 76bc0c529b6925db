"""XML with the place of every element. No document type is taken, so nothing is declared, fetched or expanded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from xml.parsers import expat

from stagedoor.config.node import Place, Source
from stagedoor.config.problem import Located

MAX_ELEMENTS = 200_000
"""Of one file."""
MAX_DEPTH = 200
_XML = "http://www.w3.org/XML/1998/namespace"
Name = tuple[str, str]
"""Namespace, empty where there is none, and local name."""


class Wrong(Exception):
    """Something of a file that cannot be used."""

    def __init__(self, place: Place, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.problem = Located(place, (), message, hint)


@dataclass(slots=True, eq=False)
class Element:
    name: Name
    place: Place
    prefixes: Mapping[str, str] = field(repr=False)
    attributes: dict[Name, str]
    children: list[Element] = field(default_factory=list)
    text: str = ""

    def get(self, name: str) -> str | None:
        """An attribute without a namespace."""
        return self.attributes.get(("", name))

    def all(self, namespace: str, *names: str) -> Iterator[Element]:
        return (child for child in self.children if child.name[0] == namespace and child.name[1] in names)

    def first(self, namespace: str, *names: str) -> Element | None:
        return next(self.all(namespace, *names), None)

    def qualified(self, attribute: str) -> Name | None:
        """The value of an attribute that names something."""
        value = self.get(attribute)
        return None if value is None else self.resolve(value)

    def resolve(self, value: str) -> Name:
        prefix, separator, local = value.strip().rpartition(":")
        if separator and prefix not in self.prefixes:
            raise Wrong(self.place, f"the prefix '{prefix}' stands for no namespace")
        return self.prefixes.get(prefix, ""), local


def parse(source: Source) -> Element:
    """The root of a file; Wrong where it is not well-formed."""
    builder = _Builder(source)
    try:
        builder.parser.Parse(source.text, True)
    except expat.ExpatError as error:
        place = Place(source, error.lineno, error.offset + 1)
        raise Wrong(place, f"it is not XML: {expat.ErrorString(error.code)}") from None
    if builder.root is None:
        raise Wrong(Place(source, 1, 1), "it is empty")
    return builder.root


class _Builder:
    def __init__(self, source: Source) -> None:
        self.source = source
        self.root: Element | None = None
        self.open: list[Element] = []
        self.count = 0
        self.declared: dict[str, str] = {}
        parser = self.parser = expat.ParserCreate(namespace_separator=" ")
        parser.StartDoctypeDeclHandler = self._doctype
        parser.StartNamespaceDeclHandler = self._prefix
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._characters

    def _place(self) -> Place:
        return Place(self.source, self.parser.CurrentLineNumber, self.parser.CurrentColumnNumber + 1)

    def _doctype(self, *_: object) -> None:
        raise Wrong(self._place(), "it has a document type, which is not taken")

    def _prefix(self, prefix: str | None, uri: str | None) -> None:
        self.declared[prefix or ""] = uri or ""

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        self.count += 1
        if self.count > MAX_ELEMENTS or len(self.open) >= MAX_DEPTH:
            what = f"more than {MAX_ELEMENTS:,} elements" if self.count > MAX_ELEMENTS else "too many levels"
            raise Wrong(self._place(), f"it has {what}")
        outer: Mapping[str, str] = self.open[-1].prefixes if self.open else {"xml": _XML}
        prefixes = {**outer, **self.declared} if self.declared else outer
        self.declared = {}
        own = {_name(key): value for key, value in attributes.items()}
        element = Element(_name(name), self._place(), prefixes, own)
        if self.open:
            self.open[-1].children.append(element)
        else:
            self.root = element
        self.open.append(element)

    def _end(self, _: str) -> None:
        self.open.pop()

    def _characters(self, text: str) -> None:
        self.open[-1].text += text


def _name(written: str) -> Name:
    namespace, _, local = written.rpartition(" ")
    return namespace, local
