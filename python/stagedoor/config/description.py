"""OpenAPI documents and JSON Schemas that policies and calls name: read, and made one document each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from stagedoor.config.aggregate import AggregateTarget
from stagedoor.config.include import Reader
from stagedoor.config.node import Mapping, Node, Place, Scalar, Sequence, find, plain
from stagedoor.config.problem import Located
from stagedoor.config.problem import Path as Steps
from stagedoor.config.settings import Settings
from stagedoor.policies import Policies
from stagedoor.policies.transform import TransformRequest, TransformResponse
from stagedoor.policies.validate import Validate

Json = Any
FILES = "x-stagedoor-files"
"""Where the files that a document refers to stand within it."""
MAX_FILES = 200
"""Files of one document."""
_DATA = frozenset(("example", "examples", "default", "const", "enum"))
_NOTHING = {"openapi": "3.1.0"}
"""Stands in for what could not be read: right, both as a document and as a schema."""


def load_descriptions(reader: Reader, root: Mapping, settings: Settings) -> dict[str, Json]:
    """Every document by the name that the configuration has for it; what is wrong goes to the reader's problems."""
    descriptions: dict[str, Json] = {}
    folder = root.place.source.path.parent.resolve()
    for at, name in _named(settings):
        if name not in descriptions:
            place, node = find(root, at)
            place = node.place if isinstance(node, Scalar) else place
            bundle = Bundle(reader, folder, (folder / name).resolve())
            descriptions[name] = bundle.read(name, place, at)
    return descriptions


def validated(settings: Settings) -> set[str]:
    """Those that messages are compared with; others are for ``stagedoor check`` alone."""
    named = [settings.policies, *(route.policies for route in settings.routes.values())]
    of_versions = (version.openapi for api in settings.apis.values() for version in api.versions.values())
    return {name for policies in named for _, name in _of_validation((), policies)} | set(filter(None, of_versions))


def _named(settings: Settings) -> Iterator[tuple[Steps, str]]:
    yield from _of_validation(("policies",), settings.policies)
    yield from _of_transformation(("policies",), settings.policies)
    for name, api in settings.apis.items():
        for version, each in api.versions.items():
            if each.openapi is not None:
                yield ("apis", name, "versions", version, "openapi"), each.openapi
    for name, route in settings.routes.items():
        at: Steps = ("routes", name, "policies")
        yield from _of_validation(at, route.policies)
        yield from _of_transformation(at, route.policies)
        if isinstance(route.target, AggregateTarget):
            for key, call in route.target.aggregate.items():
                if call.openapi is not None:
                    yield ("routes", name, "target", "aggregate", key, "openapi"), call.openapi


def _of_validation(at: Steps, policies: Policies) -> Iterator[tuple[Steps, str]]:
    policy = policies.validation
    if isinstance(policy, Validate):
        for key, name in (("openapi", policy.openapi), ("schema", policy.json_schema)):
            if name is not None:
                yield (*at, "validate", key), name


def _of_transformation(at: Steps, policies: Policies) -> Iterator[tuple[Steps, str]]:
    for key, policy in (
        ("transform_request", policies.transform_request),
        ("transform_response", policies.transform_response),
    ):
        if isinstance(policy, TransformRequest | TransformResponse) and policy.openapi is not None:
            yield (*at, key, "openapi"), policy.openapi


@dataclass(slots=True)
class Bundle:
    """One document and the files that it refers to."""

    reader: Reader
    folder: Path
    root: Path
    files: dict[Path, Json] = field(default_factory=dict)
    waiting: list[tuple[Path, Place, Steps]] = field(default_factory=list)

    def read(self, name: str, place: Place, at: Steps) -> Json:
        before = len(self.reader.problems)
        if not self._within(self.root):
            self._wrong(place, at, f"the file '{name}' is outside the configuration's folder")
            return _NOTHING
        self.waiting.append((self.root, place, at))
        while self.waiting:
            self._load(*self.waiting.pop(0))
        if len(self.reader.problems) > before:
            return _NOTHING
        document = dict(self.files.pop(self.root))
        if self.files:
            document[FILES] = {str(path.relative_to(self.folder)): content for path, content in self.files.items()}
        return document

    def _load(self, path: Path, place: Place, at: Steps) -> None:
        if path in self.files:
            return
        if len(self.files) == MAX_FILES:
            self._wrong(place, at, f"the document refers to more than {MAX_FILES} files")
            self.waiting.clear()
            return
        self.files[path] = {}
        self.reader.files.setdefault(path, None)
        node = self.reader.node(path, place, at)
        if node is None:
            return
        if not isinstance(node, Mapping):
            self._wrong(node.place, (), "expected a map: an OpenAPI document or a schema")
            return
        self._refer(node, path, ())
        content = plain(node)
        if path != self.root:
            # References count from the file; an identifier of its own would change that.
            content.pop("$id", None)
        self.files[path] = content

    def _refer(self, node: Node, path: Path, steps: Steps) -> None:
        """References of a file, as references within the whole."""
        if isinstance(node, Mapping):
            for key, value in node.entries.items():
                named = steps[-1:] in (("properties",), ("schemas",), ("patternProperties",))
                if key == "$ref" and not named and isinstance(value, Scalar) and isinstance(value.value, str):
                    value.value = self._target(value, path, (*steps, key))
                elif named or key not in _DATA:
                    self._refer(value, path, (*steps, key))
        elif isinstance(node, Sequence):
            for index, item in enumerate(node.items):
                self._refer(item, path, (*steps, index))

    def _target(self, scalar: Scalar, path: Path, steps: Steps) -> str:
        reference = str(scalar.value)
        file, _, fragment = reference.partition("#")
        parts = urlsplit(file)
        if parts.scheme or parts.netloc:
            self._wrong(scalar.place, steps, "a reference to an address: nothing is fetched", "keep a copy in a file")
            return reference
        target = path if not file else (path.parent / unquote(parts.path)).resolve()
        if not self._within(target):
            self._wrong(scalar.place, steps, "a reference to a file outside the configuration's folder")
            return reference
        if target != path:
            self.waiting.append((target, scalar.place, steps))
        if target == self.root or (fragment and not fragment.startswith("/")):
            return f"#{fragment}"
        name = str(target.relative_to(self.folder)).replace("~", "~0").replace("/", "~1")
        return f"#/{FILES}/{quote(name, safe='~')}{fragment}"

    def _within(self, path: Path) -> bool:
        return path.is_relative_to(self.folder)

    def _wrong(self, place: Place, at: Steps, message: str, hint: str | None = None) -> None:
        self.reader.problems.append(Located(place, at, message, hint))
