"""Names of fields that transformations and aggregates use, compared with the descriptions of what they read.

A name that no schema knows is an error where the schemas rule others out, and a warning where they say nothing of
others. Where a description leaves it open, nothing is said.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from stagedoor import _core
from stagedoor.config.aggregate import AggregateTarget
from stagedoor.config.expression import expression
from stagedoor.config.members import Missing, Way, missing
from stagedoor.config.node import Node, Scalar, find
from stagedoor.config.operation import Ranges, operations, request_schemas, response_schemas
from stagedoor.config.problem import Located, Path, did_you_mean, listed
from stagedoor.config.route import ClusterTarget, Route
from stagedoor.config.settings import Settings
from stagedoor.policies import Policies
from stagedoor.policies.transform import TransformRequest, TransformResponse, status_ranges
from stagedoor.policies.validate import Validate

Json = Any
_ALL: Ranges = ((200, 599),)
_SUCCESS: Ranges = ((200, 299),)
_JQ = re.compile(r"\$\{[^}]*\}")


def fields(root: Node, settings: Settings, descriptions: Mapping[str, Json]) -> list[Located]:
    """Every name that is not described."""
    problems = []
    for name, route in settings.routes.items():
        policies = route.policies.over(settings.policies)
        for path, message, hint, severity in _route(("routes", name), route, policies, descriptions):
            place, node = find(root, path)
            place = node.place if isinstance(node, Scalar) and path[-2] != "rename" else place
            problems.append(Located(place, path, message, hint, severity))
    return problems


Found = Iterator[tuple[Path, str, str | None, str]]
Names = Iterator[tuple[Path, str, list[Way], bool]]
"""Where a name stands, the name, the ways that it may stand for, and whether lists are walked through."""


@dataclass(frozen=True, slots=True)
class _Described:
    """What some names are compared with."""

    document: Json
    schemas: list[Json]
    what: str

    def check(self, names: Names) -> Found:
        told: set[tuple[Path, Way]] = set()
        for path, name, ways, through in names:
            gone = [missing(self.document, self.schemas, way, through) for way in ways]
            first = gone[0] if gone and all(gone) else None
            if first is not None and (path, first.way) not in told:
                told.add((path, first.way))
                yield path, f"{self.what} has no field '{_text(first.way)}'{_of(name, first.way)}", *_hint(first)


def _hint(gone: Missing) -> tuple[str | None, str]:
    near = did_you_mean(str(gone.way[-1]), gone.known)
    return near or (f"there are: {listed(gone.known)}" if gone.known else None), "error" if gone.closed else "warning"


def _of(name: str, way: Way) -> str:
    return f", so there is no '{name}'" if name and name != _text(way) else ""


def _text(way: Way) -> str:
    return "".join("[]" if step is None else f".{step}" for step in way).removeprefix(".")


def _route(at: Path, route: Route, policies: Policies, descriptions: Mapping[str, Json]) -> Found:
    shared = policies.validation if isinstance(policies.validation, Validate) else None
    mine, theirs = route.policies.transform_request, route.policies.transform_response
    if isinstance(mine, TransformRequest):
        own = mine.openapi or (shared.openapi if shared else None)
        base = shared.base_path if shared and own == shared.openapi else None
        below = (*at, "policies", "transform_request")
        check = _compare(descriptions, own, base, route.match.path, route.match.methods, request_schemas)
        yield from check("the request's content", _names(mine, below, False), mine.openapi is not None, below)
    if isinstance(theirs, TransformResponse):
        below = (*at, "policies", "transform_response")
        of_client = theirs.openapi is None
        own = shared.openapi if of_client and shared else theirs.openapi
        base = shared.base_path if of_client and shared else None
        path, methods = (route.match.path, route.match.methods) if of_client else _asked(route, mine)
        statuses = status_ranges(theirs) or _ALL
        if theirs.errors == "problem":
            statuses = [(first, min(last, 399)) for first, last in statuses if first < 400]
        check = _compare(descriptions, own, base, path, methods, _answers(statuses))
        yield from check("the answer", _names(theirs, below, of_client), not of_client, below)
    if isinstance(route.target, AggregateTarget):
        for name, call in route.target.aggregate.items():
            below = (*at, "target", "aggregate", name)
            path = None if "${" in call.path else call.path
            check = _compare(descriptions, call.openapi, None, path, [call.method], _answers(_SUCCESS))
            shape = (*_listed(call.pick, below, "pick"), *_listed(call.deny, below, "deny"))
            picked = _read_by(call.pick, (*below, "pick")) if isinstance(call.pick, str) else ()
            renamed = () if isinstance(call.pick, str) else _renamed(call.rename, below)
            names = iter((*picked, *(() if isinstance(call.pick, str) else shape), *renamed))
            yield from check(f"the answer of '{name}'", names, call.openapi is not None, below)


def _asked(route: Route, request: Any) -> tuple[str | None, list[str]]:
    """The path and methods with which a cluster is asked."""
    path = route.target.path if isinstance(route.target, ClusterTarget) else None
    path = path or route.match.path
    methods = list(route.match.methods)
    if isinstance(request, TransformRequest):
        methods = methods if request.method is None else [request.method]
        if request.path is not None:
            path = None if expression(request.path) is not None else _JQ.sub("{}", request.path)
    return path, methods


def _answers(statuses: Ranges) -> Callable[[Json, Json], list[Json] | None]:
    return lambda document, operation: response_schemas(document, operation, statuses)


def _compare(
    descriptions: Mapping[str, Json],
    name: str | None,
    base: str | None,
    path: str | None,
    methods: list[str],
    schemas_of: Callable[[Json, Json], list[Json] | None],
) -> Callable[[str, Names, bool, Path], Found]:
    document = descriptions.get(name) if name is not None else None

    def check(what: str, names: Names, named: bool, at: Path) -> Found:
        if document is None or path is None or not document.get("paths"):
            return
        found = operations(document, base, path, methods)
        found = found or (operations(document, "", path, methods) if base is None else [])
        if not found and named:
            message = f"the document describes no operation that is asked for here: {' '.join((*methods, path))}"
            yield (*at, "openapi"), message, "names of fields cannot be compared with it", "warning"
        schemas = []
        for operation in found:
            each = schemas_of(document, operation)
            if each is None:
                return
            schemas += each
        if schemas:
            yield from _Described(document, schemas, what).check(names)

    return check


def _names(policy: TransformRequest | TransformResponse, at: Path, of_outcome: bool) -> Names:
    """``of_outcome``: what is described may be what is read or what comes of it, so only those names count that are
    wrong in both."""
    if policy.body is not None:
        # Fields are taken of what jq makes.
        if not of_outcome:
            yield from _read_by(expression(policy.body) or "", (*at, "body"))
        return
    for key, names in (("pick", policy.pick), ("deny", policy.deny), ("mask", policy.mask)):
        if key != "deny" or not of_outcome:
            for path, name, ways, through in _listed(names, at, key):
                outcome = [_renamed_way(ways[0], policy.rename)] if of_outcome else []
                yield path, name, ways + outcome, through
    for path, name, ways, through in _renamed(policy.rename, at):
        yield path, name, ways + ([_renamed_way(ways[0], policy.rename)] if of_outcome else []), through


def _listed(names: Any, at: Path, key: str) -> Names:
    for index, name in enumerate(names if isinstance(names, list) else ()):
        way = tuple(name.split("."))
        yield (*at, key, index), name, [way], True


def _renamed(rename: Mapping[str, str], at: Path) -> Names:
    for name in rename:
        way = tuple(name.split("."))
        yield (*at, "rename", name), name, [way], True


def _renamed_way(way: Way, rename: Mapping[str, str]) -> Way:
    return tuple(rename.get(".".join(map(str, way[: index + 1])), step) for index, step in enumerate(way))


def _read_by(source: str, at: Path) -> Names:
    for way in _core.reads(source):
        yield at, "", [tuple(way)], False
