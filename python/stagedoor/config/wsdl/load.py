"""The operations that policies name, of the files that they name them in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from stagedoor.config.include import Reader, shown
from stagedoor.config.node import Mapping, Place, Scalar, Source, find
from stagedoor.config.problem import Located
from stagedoor.config.problem import Path as Steps
from stagedoor.config.settings import Settings
from stagedoor.config.wsdl.operation import Description, Reference
from stagedoor.config.wsdl.xml import Element, Wrong, parse
from stagedoor.policies import Policies
from stagedoor.policies.translate import Translate
from stagedoor.policies.translate.soap import Soap

Json = Any
MAX_FILES = 200
"""Files of one description."""


def load_operations(reader: Reader, root: Mapping, settings: Settings) -> dict[Reference, tuple[Json, str]]:
    """Each operation with the path of its address; what is wrong goes to the reader's problems."""
    folder = root.place.source.path.parent.resolve()
    operations: dict[Reference, tuple[Json, str]] = {}
    descriptions: dict[str, Description | None] = {}
    for at, soap in _named(settings):
        wanted = reference(soap)
        if wanted in operations:
            continue
        options = ("wsdl", "operation", "service", "port", "version")
        places = {key: _place(root, (*at, key)) for key in options if getattr(soap, key) is not None}
        files = _Files(reader, folder, (*at, "wsdl"))
        try:
            if soap.wsdl not in descriptions:
                descriptions[soap.wsdl] = None
                node = files.load((folder / soap.wsdl).resolve(), places["wsdl"])
                descriptions[soap.wsdl] = None if node is None else Description(files.load, node)
            description = descriptions[soap.wsdl]
            if description is not None:
                operations[wanted] = description.operation(wanted, places)
        except Wrong as wrong:
            problem = wrong.problem
            key = next((key for key, place in places.items() if place == problem.place), None)
            reader.problems.append(problem if key is None else replace(problem, path=(*at, key)))
    return operations


def reference(soap: Soap) -> Reference:
    """The operation that a policy names."""
    return Reference(soap.wsdl, soap.operation, soap.service, soap.port, soap.version)


def _named(settings: Settings) -> Iterator[tuple[Steps, Soap]]:
    yield from _of((), settings.policies)
    for name, route in settings.routes.items():
        yield from _of(("routes", name), route.policies)


def _of(at: Steps, policies: Policies) -> Iterator[tuple[Steps, Soap]]:
    if isinstance(policies.translate, Translate) and policies.translate.soap is not None:
        yield (*at, "policies", "translate", "soap"), policies.translate.soap


def _place(root: Mapping, at: Steps) -> Place:
    place, node = find(root, at)
    return node.place if isinstance(node, Scalar) else place


@dataclass(slots=True)
class _Files:
    """Files of one description, each read once."""

    reader: Reader
    folder: Path
    at: Steps
    roots: dict[Path, Element | None] = field(default_factory=dict)

    def load(self, path: Path, place: Place) -> Element | None:
        if path not in self.roots:
            self.roots[path] = self._read(path, place)
        return self.roots[path]

    def _read(self, path: Path, place: Place) -> Element | None:
        at = self.at if not self.roots else ()
        message = None
        if not path.is_relative_to(self.folder):
            message = f"the file '{path.name}' is outside the configuration's folder"
        elif len(self.roots) == MAX_FILES:
            message = f"the description refers to more than {MAX_FILES} files"
        if message is not None:
            self.reader.problems.append(Located(place, at, message))
            return None
        self.reader.files.setdefault(path, None)
        text = self.reader.text(path, place, at)
        return None if text is None else parse(Source(path, shown(path), text))
