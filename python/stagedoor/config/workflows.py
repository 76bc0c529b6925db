"""Workflow documents: found, read with positions, and compiled."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stagedoor.config.include import Reader, shown
from stagedoor.config.node import Mapping, Node, Place, Scalar, Source, find, plain, scalars
from stagedoor.config.problem import InvalidConfiguration, Located, ordered
from stagedoor.config.resources import Files, Surroundings, surroundings
from stagedoor.config.settings import DOCUMENTS, Settings
from stagedoor.errors import InvalidDefinition, Problem

if TYPE_CHECKING:
    from stagedoor.workflow.definition import Definition


@dataclass(slots=True)
class Workflows:
    """By ``namespace/name``."""

    definitions: dict[str, Any] = field(default_factory=dict)
    nodes: dict[str, Node] = field(default_factory=dict)
    """Also of those that are wrong: that they exist is known."""
    unreadable: bool = False
    """A document could not even be read, so names may be missing."""

    @property
    def documents(self) -> dict[str, Any]:
        return {name: plain(self.nodes[name]) for name in self.definitions}


def load_workflows(reader: Reader, root: Mapping, settings: Settings | None, also: Path | None = None) -> Workflows:
    """Every document of the globs in ``workflows``, and one more; what is wrong goes to the reader's problems."""
    workflows = Workflows(unreadable=reader.incomplete)
    around = surroundings(root.place.source.path.parent.resolve(), settings)
    seen: set[Path] = set()
    for index, item in enumerate(reader.globs(root, "workflows")):
        for path in reader.matches(item, ("workflows", index), "workflows"):
            if path not in seen:
                seen.add(path)
                reader.files.setdefault(path, None)
                _load(reader, workflows, path, item.place, ("workflows", index), around)
    if also is not None and also.resolve() not in seen:
        file = also.resolve()
        _load(reader, workflows, file, Place(Source(file, shown(file), ""), 1, 1), (), around)
    return workflows


def read_workflow(
    path: Path, origin: Place | None = None, at: tuple[str | int, ...] = ()
) -> tuple[Definition, list[Located]]:
    """One document without a configuration, compiled, and its warnings. ``origin`` and ``at`` are who asks for it.
    Raises InvalidConfiguration with every problem."""
    return read_document(path, origin, at)[1:]


def read_document(
    path: Path, origin: Place | None = None, at: tuple[str | int, ...] = ()
) -> tuple[Node, Definition, list[Located]]:
    """The same, with the places of everything in it."""
    reader = Reader({})
    file = path.resolve()
    node = reader.node(file, origin or Place(Source(file, shown(file), ""), 1, 1), at)
    if node is None or reader.problems:
        raise InvalidConfiguration(reader.problems)
    from stagedoor.workflow.parse import parse

    around = Surroundings(file.parent, file.parent / DOCUMENTS, alone=True)
    try:
        definition = parse(plain(node), Files(reader, around, file, node))
    except InvalidDefinition as invalid:
        raise InvalidConfiguration(ordered(list(located(node, invalid.problems)))) from None
    return node, definition, list(located(node, definition.warnings))


def workflow_name(path: Path) -> str | None:
    """``namespace/name`` of a document, None where it has none."""
    file = path.resolve()
    node = Reader({}).node(file, Place(Source(file, shown(file), ""), 1, 1))
    return None if node is None else _name(node)[0]


def _load(
    reader: Reader,
    workflows: Workflows,
    path: Path,
    origin: Place,
    at: tuple[str | int, ...],
    around: Surroundings,
) -> None:
    node = reader.node(path, origin, at)
    if node is None:
        workflows.unreadable = True
        return
    name, place = _name(node)
    if name is not None and name in workflows.nodes:
        first = find(workflows.nodes[name], ("document", "name"))[0]
        where = f"{first.source.name}:{first.line}:{first.column}"
        message = f"the workflow '{name}' is given twice: here and at {where}"
        reader.problems.append(Located(place, ("document", "name"), message))
        return
    if name is not None:
        workflows.nodes[name] = node
    # Imported here: a configuration without workflows needs no machine.
    from stagedoor.workflow.parse import parse

    try:
        definition = parse(plain(node), Files(reader, around, path, node))
    except InvalidDefinition as invalid:
        reader.problems += located(node, invalid.problems)
        workflows.unreadable = workflows.unreadable or name is None
        return
    reader.problems += located(node, definition.warnings)
    if name is not None:
        workflows.definitions[name] = definition


def located(node: Node, problems: Iterable[Problem]) -> Iterator[Located]:
    """Problems of a document at their places in its file."""
    for problem in problems:
        place, _ = find(node, problem.path)
        yield Located(place, problem.path, problem.message, problem.hint, problem.severity)


def _name(node: Node) -> tuple[str | None, Place]:
    """``namespace/name`` of a document, where it has both."""
    place, name = find(node, ("document", "name"))
    _, namespace = find(node, ("document", "namespace"))
    if isinstance(name, Scalar) and isinstance(namespace, Scalar) and isinstance(node, Mapping):
        return f"{namespace.value}/{name.value}", place
    return None, place


READ = ("document", "proto", "resource", "catalogs")
"""Above an endpoint of which a document is read."""


AUTHORITIES = (("oauth2", "authority"), ("oidc", "authority"), ("oauth2", "endpoints", "token"))
"""Where tokens are asked for."""


def called_endpoints(node: Node) -> Iterator[tuple[tuple[str | int, ...], Scalar]]:
    """Every text that is an endpoint of a call, or of the authority of its tokens."""
    for path, scalar in scalars(node):
        called = path[-1:] == ("endpoint",) or path[-2:] == ("endpoint", "uri")
        read = {path[-2:-1], path[-3:-2]} & {(key,) for key in READ}
        if read:
            continue
        if isinstance(scalar.value, str) and (called or path[-2:] in AUTHORITIES or path[-3:] in AUTHORITIES):
            yield path, scalar
