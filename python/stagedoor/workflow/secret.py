"""Secrets: the machine knows how a value is made of them, and never what they are.

An expression that names ``$secrets`` is not evaluated by the machine. It yields a ``Deferred`` value, which goes with
the command as it is and becomes a value only where the request is sent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from stagedoor._core import ExpressionError
from stagedoor.workflow.expression import Compiled, Environment

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
    """An expression over secrets, with everything else that it looks at."""

    source: str
    data: Json = field(repr=False)
    values: tuple[Json, ...] = field(repr=False)
    now: float
    expression: SecretExpression = field(repr=False, compare=False)

    def reveal(self, secrets: Mapping[str, Json]) -> Json:
        """Raises ``Unrevealed``."""
        return self.expression.reveal(self, secrets)


class SecretExpression(Compiled):
    """Yields a ``Deferred`` value."""

    __slots__ = ()

    def __call__(self, environment: Environment, data: Json) -> Json:
        values = tuple(None if name == SECRETS else environment.variable(name) for name in self.names)
        return Deferred(self.source, data, values, environment.now, self)

    def reveal(self, deferred: Deferred, secrets: Mapping[str, Json]) -> Json:
        values = [
            dict(secrets) if name == SECRETS else value for name, value in zip(self.names, deferred.values, strict=True)
        ]
        try:
            return self._evaluate(deferred.data, values, deferred.now)
        except ExpressionError:
            # The error's own words may quote what the expression looked at.
            raise Unrevealed(f"the expression over secrets failed: {self.source.strip()}") from None


def names_secrets(source: str) -> bool:
    return SECRETS in source


def undeclared(source: str, declared: frozenset[str]) -> list[str]:
    """Secrets that an expression takes by name, without those of ``use.secrets``."""
    found = [one or other for one, other in _NAMED.findall(source)]
    return [name for name in dict.fromkeys(found) if name and name not in declared]


def mentions(value: Json) -> bool:
    """Whether an expression over secrets is somewhere in a value as the document has it."""
    if isinstance(value, str):
        return names_secrets(value)
    if isinstance(value, dict):
        return any(map(mentions, value.values()))
    return isinstance(value, list) and any(map(mentions, value))


def reveal(value: Json, secrets: Mapping[str, Json]) -> Json:
    """The value with everything that is deferred made of its secrets. Raises ``Unrevealed``."""
    if isinstance(value, Deferred):
        return value.reveal(secrets)
    if isinstance(value, dict):
        return {key: reveal(item, secrets) for key, item in value.items()}
    if isinstance(value, list):
        return [reveal(item, secrets) for item in value]
    return value


def shown(fields: dict[str, Any]) -> dict[str, str]:
    """Header fields as an output may show them."""
    return {name: HIDDEN if isinstance(value, Deferred) else value for name, value in fields.items()}


def declared(place: Place) -> frozenset[str]:
    """``use.secrets``: the names of secrets that the document may use."""
    if not isinstance(place.value, list):
        place.problem("expected a list of names", "write secrets: [name]")
        return frozenset()
    names: list[str] = []
    for index in range(len(place.value)):
        name = place.at(index).text()
        if name in names:
            place.at(index).problem(f"the secret {name!r} is named twice")
        elif name is not None:
            names.append(name)
    return frozenset(names)
