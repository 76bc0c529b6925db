"""What the machine never learns: secrets, and the authorization of a call. It knows how a value is made of them, and
never what they are.

An expression that names ``$secrets`` or, in a request, ``$authorization`` is not evaluated by the machine. It yields a
``Deferred`` value, which goes with the command as it is and becomes a value only where the request is sent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from stagedoor.workflow.expression import AUTHORIZATION, FAILURES, Compiled, Environment, names

if TYPE_CHECKING:
    from stagedoor.workflow.place import Place

Json = Any

SECRETS = "$secrets"
HIDDEN = "***"
"""Stands in outputs where a value was made of secrets."""

_NAMED = re.compile(r"\$secrets\s*(?:\.\s*([A-Za-z_]\w*)|\.?\s*\[?\s*\"([^\"\\]*)\")?")


class Unrevealed(ValueError):
    """A value cannot be made of its secrets; says why without showing any."""


@dataclass(frozen=True, slots=True)
class Deferred:
    """An expression over what is known late, with everything else that it looks at."""

    source: str
    data: Json = field(repr=False)
    values: tuple[Json, ...] = field(repr=False)
    now: float
    expression: LateExpression = field(repr=False, compare=False)

    def reveal(self, known: Mapping[str, Json]) -> Json:
        """Raises ``Unrevealed``."""
        return self.expression.reveal(self, known)


class LateExpression(Compiled):
    """Yields a ``Deferred`` value."""

    __slots__ = ("_late",)

    def __init__(self, source: str, variables: Sequence[str]) -> None:
        """Of the variables those from ``$secrets`` on are known late; without it, the authorization is."""
        super().__init__(source, variables)
        self._late = late_of(variables) or frozenset({AUTHORIZATION})

    def __call__(self, environment: Environment, data: Json) -> Json:
        values = tuple(None if name in self._late else environment.variable(name) for name in self.names)
        return Deferred(self.source, data, values, environment.now, self)

    def reveal(self, deferred: Deferred, known: Mapping[str, Json]) -> Json:
        values = [
            known.get(name) if name in self._late else value
            for name, value in zip(self.names, deferred.values, strict=True)
        ]
        try:
            return self._evaluate(deferred.data, values, deferred.now)
        except FAILURES:
            # The error's own words may quote what the expression looked at.
            raise Unrevealed(f"the expression over secrets failed: {self.source.strip()}") from None


def late(variables: Sequence[str], *, authorization: bool = True) -> tuple[str, ...]:
    """These variables, and from ``$secrets`` on what is known only when a request is sent. A document's own variable of
    that name is not the call's authorization."""
    more = (AUTHORIZATION,) if authorization and AUTHORIZATION not in variables else ()
    return (*variables, SECRETS, *more)


def late_of(variables: Sequence[str]) -> frozenset[str]:
    """Those that are known late."""
    return frozenset(variables[list(variables).index(SECRETS) :]) if SECRETS in variables else frozenset()


def undeclared(source: str, declared: frozenset[str]) -> list[str]:
    """Secrets that an expression takes by name, without those of ``use.secrets``."""
    found = [one or other for one, other in _NAMED.findall(source)]
    return [name for name in dict.fromkeys(found) if name and name not in declared]


def mentions(value: Json, variables: Sequence[str]) -> bool:
    """Whether an expression over what is known late is somewhere in a value as the document has it."""
    if isinstance(value, str):
        return not late_of(variables).isdisjoint(names(value))
    if isinstance(value, dict):
        return any(mentions(item, variables) for item in value.values())
    return isinstance(value, list) and any(mentions(item, variables) for item in value)


def is_deferred(value: Json) -> bool:
    """Whether something in it is deferred."""
    if isinstance(value, dict):
        return any(map(is_deferred, value.values()))
    return any(map(is_deferred, value)) if isinstance(value, list) else isinstance(value, Deferred)


def reveal(value: Json, known: Mapping[str, Json]) -> Json:
    """The value with everything that is deferred made of what is known: the values of variables, by name. Raises
    ``Unrevealed``."""
    if isinstance(value, Deferred):
        return value.reveal(known)
    if isinstance(value, dict):
        return {key: reveal(item, known) for key, item in value.items()}
    if isinstance(value, list):
        return [reveal(item, known) for item in value]
    return value


def shown(fields: dict[str, Any]) -> dict[str, str]:
    """Header fields as an output may show them."""
    return {name: HIDDEN if isinstance(value, Deferred) else value for name, value in fields.items()}


def declared(place: Place) -> frozenset[str]:
    """``use.secrets``: the names of secrets that the document may use."""
    if not isinstance(place.value, list):
        place.problem("expected a list of names", "write secrets: [name]")
        return frozenset()
    found: list[str] = []
    for index in range(len(place.value)):
        name = place.at(index).text()
        if name in found:
            place.at(index).problem(f"the secret {name!r} is named twice")
        elif name is not None:
            found.append(name)
    return frozenset(found)
