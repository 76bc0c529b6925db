"""Schemas of data (JSON Schema 2020-12), compiled while parsing, and what does not fit them as an error."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from stagedoor._core import Schema as Compiled
from stagedoor.workflow.error import Failure, standard
from stagedoor.workflow.expression import Environment

if TYPE_CHECKING:
    from stagedoor.workflow.compiler import Compiler
    from stagedoor.workflow.place import Place

Json = Any

TOLD = 8
"""Faults of one value that its error tells."""


class Schema:
    __slots__ = ("_faults", "_what")

    def __init__(self, document: Json, what: str) -> None:
        """``what`` is input, output or export. Raises ``ValueError`` with a sentence."""
        self._faults = Compiled(json.dumps(document)).faults
        self._what = what

    def check(self, value: Json, environment: Environment) -> None:
        """Raises ``Failure`` with what does not fit and where; never with the value itself."""
        try:
            faults = self._faults(value)
        except (TypeError, ValueError) as error:
            faults = [("", str(error))]
        if faults:
            told = "; ".join(f"{pointer} {sentence}".strip() for pointer, sentence in faults[:TOLD])
            title = f"The {self._what} does not fit its schema"
            raise Failure(standard("validation", 400, title, environment.reference, told[:1000]))


def compile(place: Place, what: str, compiler: Compiler) -> Schema | None:
    """``{format, document | resource}``."""
    if not place.mapping():
        return None
    place.keys({"format", "document", "resource"}, common=False)
    named = [key for key in ("document", "resource") if key in place.value]
    if len(named) != 1:
        place.problem("a schema has a document or a resource, and not both")
        return None
    kind = place.at("format").text() if "format" in place.value else "json"
    if kind is not None and kind.partition(":")[0] != "json":
        place.at("format").unsupported(f"schemas of the format {kind!r}", "write them in JSON Schema, format: json")
        return None
    found = compiler.resource(place.at("resource"), "data") if named == ["resource"] else place.at("document")
    if found is None:
        return None
    try:
        return Schema(found.value, what)
    except ValueError as error:
        found.problem(str(error))
        return None
