"""Schemas and documents of GraphQL that policies name: read as text, and manifests as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from stagedoor.config.include import Reader
from stagedoor.config.node import Mapping, Place, Scalar, find
from stagedoor.config.problem import Located
from stagedoor.config.problem import Path as Steps
from stagedoor.config.settings import Settings
from stagedoor.policies import Policies
from stagedoor.policies.graphql import FILES, Graphql
from stagedoor.policies.translate import Translate
from stagedoor.policies.translate.graphql import FILE

Json = Any
_NOTHING = "type Query { nothing: Int }"
"""Stands in for a schema that could not be read."""
_NO_OPERATION = "{ nothing }"
"""And for an operation."""


def load_graphql(reader: Reader, root: Mapping, settings: Settings) -> dict[str, Json]:
    """Every file by the name that the snapshot has for it; what is wrong goes to the reader's problems."""
    loading = _Loading(reader, root)
    for steps, policies in _policies(settings):
        policy = policies.graphql
        if isinstance(policy, Graphql):
            at = (*steps, "graphql")
            if policy.schema_file is not None:
                loading.schema(policy.schema_file, (*at, "schema"))
            for index, glob in enumerate(policy.documents.files if policy.documents is not None else ()):
                loading.documents(glob, (*at, "documents", "files", index))
        translate = policies.translate
        if isinstance(translate, Translate) and translate.graphql is not None:
            at, stored = (*steps, "translate", "graphql"), translate.graphql
            if stored.schema_file is not None:
                loading.schema(stored.schema_file, (*at, "schema"))
            if stored.file is not None:
                loading.operation(stored.file, (*at, "file"))
    return loading.found


def _policies(settings: Settings) -> Iterator[tuple[Steps, Policies]]:
    yield ("policies",), settings.policies
    for name, route in settings.routes.items():
        yield ("routes", name, "policies"), route.policies


class _Loading:
    def __init__(self, reader: Reader, root: Mapping) -> None:
        self.reader = reader
        self.root = root
        self.folder = root.place.source.path.parent.resolve()
        self.found: dict[str, Json] = {}

    def schema(self, name: str, at: Steps) -> None:
        if name in self.found:
            return
        path, place = (self.folder / name).resolve(), self._place(at)
        text = self._text(path, name, place, at)
        self.found[name] = _NOTHING if text is None else text

    def operation(self, name: str, at: Steps) -> None:
        if FILE + name not in self.found:
            text = self._text((self.folder / name).resolve(), name, self._place(at), at)
            self.found[FILE + name] = _NO_OPERATION if text is None else text

    def documents(self, glob: str, at: Steps) -> None:
        if FILES + glob in self.found:
            return
        place = self._place(at)
        files: dict[str, Json] = {}
        for path in self.reader.matches(Scalar(place, glob, glob), at, "documents"):
            name = str(path.relative_to(self.folder)) if path.is_relative_to(self.folder) else glob
            text = self._text(path, name, place, at)
            if text is None:
                continue
            if path.suffix == ".json":
                try:
                    files[name] = json.loads(text)
                except ValueError as error:
                    self._wrong(place, at, f"the file '{name}' is not JSON: {error}")
            elif path.suffix in (".graphql", ".gql"):
                files[name] = text
            else:
                self._wrong(place, at, f"the file '{name}' is none of .graphql, .gql and .json")
        self.found[FILES + glob] = files

    def _text(self, path: Path, name: str, place: Place, at: Steps) -> str | None:
        if not path.is_relative_to(self.folder):
            self._wrong(place, at, f"the file '{name}' is outside the configuration's folder")
            return None
        self.reader.files.setdefault(path, None)
        return self.reader.text(path, place, at)

    def _place(self, at: Steps) -> Place:
        place, node = find(self.root, at)
        return node.place if isinstance(node, Scalar) else place

    def _wrong(self, place: Place, at: Steps, message: str) -> None:
        self.reader.problems.append(Located(place, at, message))
