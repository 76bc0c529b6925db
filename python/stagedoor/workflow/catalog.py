"""Functions of catalogs: ``NAME:VERSION@CATALOG``, ``NAME:VERSION`` of the default catalog, or the URL of one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from stagedoor.workflow import resource
from stagedoor.workflow.place import Place, suggestion

if TYPE_CHECKING:
    from stagedoor.workflow.compiler import Compiler

Json = Any

DEFAULT = "default"
MAX_TOLD = 5
"""Problems of one function that are told at its caller."""

_NAMED = re.compile(r"(?P<name>[A-Za-z0-9][\w.-]*):(?P<version>[0-9A-Za-z][\w.+-]*)(?:@(?P<catalog>[\w.-]+))?\Z")


def is_of_catalog(name: str) -> bool:
    return any(mark in name for mark in (":", "@", "/"))


def function(place: Place, name: str, compiler: Compiler) -> Place | None:
    """The task that a name leads to, for one caller; its problems are those of the caller, see ``told``."""
    uri = _uri(place, name, compiler)
    if uri is None:
        return None
    content = compiler.resources.get(uri, "data", place)
    return None if content is None else Place(content, (), [])


def told(found: Place, place: Place, name: str) -> None:
    """Tell the caller what is wrong in the function."""
    for problem in found.problems[:MAX_TOLD]:
        where = ".".join(map(str, problem.path))
        place.problem(f"in {name}: {where + ': ' if where else ''}{problem.message}", problem.hint, problem.severity)


def check(place: Place) -> None:
    """One entry of ``use.catalogs``."""
    if place.mapping(required=("endpoint",)):
        place.keys({"endpoint"}, common=False)
        resource.uri(place.at("endpoint"))


def _uri(place: Place, name: str, compiler: Compiler) -> str | None:
    if name.startswith(("http://", "https://", "file:")):
        return name
    match = _NAMED.match(name)
    if match is None:
        place.problem(f"{name!r} is not the name of a function", "write NAME:VERSION@CATALOG, or its URL")
        return None
    path = f"functions/{match['name']}/{match['version']}/function.yaml"
    catalog = match["catalog"] or DEFAULT
    if catalog in compiler.catalogs:
        declared = compiler.catalogs[catalog]
        endpoint = resource.uri(declared.at("endpoint")) if isinstance(declared.value, dict) else None
        return None if endpoint is None else f"{endpoint.rstrip('/')}/{path}"
    if catalog == DEFAULT:
        return f"catalog:{path}"
    near = suggestion(catalog, compiler.catalogs)
    place.problem(f"no catalog named {catalog!r}", f"did you mean {near!r}?" if near else "declare it in use.catalogs")
    return None
