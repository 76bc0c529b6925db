"""Runtime expressions: compiled once while parsing, evaluated with only those variables that they name."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from typing import Any, Protocol

from stagedoor._core import Expression, ExpressionError
from stagedoor.workflow.error import Failure, standard

Json = Any

BASE = ("$context", "$input", "$task", "$workflow", "$runtime")
"""Known in every expression of a task; ``$output`` only where a task's output is complete."""
AUTHORIZATION = "$authorization"
"""By what a call proves itself: known in its request and its output."""

_WRAPPED = re.compile(r"\s*\$\{(.+)\}\s*\Z", re.DOTALL)
_NAME = re.compile(r"\$[A-Za-z_]\w*")
_BARE = re.compile(r"\s*(\$[A-Za-z_]\w*)\s*(\Z|\.[A-Za-z_\"\[]|\[|\|)")
_FIELD = re.compile(r"\s*\.([A-Za-z_][A-Za-z0-9_]*)\s*\Z")
_OBJECT = re.compile(r"\s*\{\s*(?:[A-Za-z_]\w*\s*:\s*\.[A-Za-z_]\w*\s*(?:,\s*(?=[A-Za-z_])|(?=\})))+\}\s*\Z", re.ASCII)
_MEMBER = re.compile(r"([A-Za-z_]\w*)\s*:\s*\.([A-Za-z_]\w*)", re.ASCII)
FAILURES = (ExpressionError, TypeError, ValueError)
"""Of an evaluation: the last two of data that jq cannot hold, such as halves of a character, or too deep a nesting."""
FINITE = 4
"""The rules since which what an expression yields is JSON."""
_EXACT = 2**53
"""Integers below it are the same in every reader of JSON."""


class Environment(Protocol):
    """What an expression may look at."""

    @property
    def reference(self) -> str: ...
    @property
    def now(self) -> float: ...
    @property
    def rules(self) -> int: ...
    def variable(self, name: str) -> Json: ...


Template = Callable[[Environment, Json], Json]
"""Yields a value from an environment and the data that ``.`` stands for; raises ``Failure``."""


class Compiled:
    """One expression. Calling it yields its one result."""

    __slots__ = ("_evaluate", "_field", "_members", "names", "source")

    def __init__(self, source: str, variables: Sequence[str]) -> None:
        """Raises ``ExpressionError`` if it does not compile."""
        self.source = source
        field = _FIELD.match(source)
        self._field = None if field is None else field[1]
        self._members = tuple(_MEMBER.findall(source)) if _OBJECT.match(source) else ()
        named = names(source)
        self.names = tuple(name for name in variables if name in named)
        self._evaluate = Expression(source, self.names).evaluate

    def __call__(self, environment: Environment, data: Json) -> Json:
        # The most common ones, and where jq has nothing to say to the values: without the way there and back.
        if self._field is not None and type(data) is dict:
            value = data.get(self._field)
            if _plain(value):
                return value
        elif self._members and type(data) is dict:
            values = {name: data.get(field) for name, field in self._members}
            if all(map(_plain, values.values())):
                return values
        variables = [environment.variable(name) for name in self.names] if self.names else ()
        try:
            found = self._evaluate(data, variables, environment.now)
        except FAILURES as error:
            raise self._failed(environment, str(error)) from error
        return sayable(found) if environment.rules >= FINITE else found

    def _failed(self, environment: Environment, why: str) -> Failure:
        detail = f"{self.source.strip()}: {why}"
        return Failure(standard("expression", 400, "Expression failed", environment.reference, detail[:1000]))


def sayable(value: Json) -> Json:
    """The value, where a number that JSON does not have, infinite or none, is null."""
    if type(value) is dict or type(value) is list:
        # Most have none, and need not be made anew.
        shown = repr(value)
        if "inf" not in shown and "nan" not in shown:
            return value
    return _finite(value)


def _finite(value: Json) -> Json:
    kind = type(value)
    if kind is float:
        return value if math.isfinite(value) else None
    if kind is list:
        return [_finite(item) for item in value]
    if kind is dict:
        return {key: _finite(item) for key, item in value.items()}
    return value


def _plain(value: Json) -> bool:
    kind = type(value)
    if kind is str:
        return bool(value.isascii())
    return value is None or kind is bool or (kind is int and -_EXACT < value < _EXACT)


class Loose(Compiled):
    """Text that may be an expression: where it fails, it is the text."""

    __slots__ = ()

    def __call__(self, environment: Environment, data: Json) -> Json:
        try:
            return Compiled.__call__(self, environment, data)
        except Failure:
            return self.source


def wrapped(text: str) -> str | None:
    """The expression inside ``${ … }``, or None if the text is not one as a whole."""
    match = _WRAPPED.match(text)
    return match[1] if match else None


def names(source: str) -> set[str]:
    """Variables that the source names; it may bind some of them itself."""
    return set(_NAME.findall(source))


def unknown_names(source: str, variables: Sequence[str]) -> list[str]:
    """Those that it is not given."""
    return sorted(names(source).difference(variables))


def unmarked(text: str, variables: Sequence[str]) -> bool:
    """Whether text without ``${ }`` can only be meant as an expression: a variable that is known here, or a way into
    one."""
    match = _BARE.match(text)
    if match is None or match[1] not in variables:
        return False
    try:
        Expression(text, tuple(names(text).intersection(variables)))
    except ExpressionError:
        return False
    return True


def constant(value: Json) -> Template:
    return lambda environment, data: value


def identity(environment: Environment, data: Json) -> Json:
    return data


def mapping(entries: Sequence[tuple[str, Json, Template | None]]) -> Template:
    """An object whose values are constants (template None) or templates."""
    if all(template for _, _, template in entries):
        pairs = tuple((key, template) for key, _, template in entries if template)
        return lambda environment, data: {key: template(environment, data) for key, template in pairs}
    items = tuple(entries)

    def build(environment: Environment, data: Json) -> Json:
        return {key: template(environment, data) if template else value for key, value, template in items}

    return build


def sequence(entries: Sequence[tuple[Json, Template | None]]) -> Template:
    """A list whose items are constants (template None) or templates."""
    items = tuple(entries)

    def build(environment: Environment, data: Json) -> Json:
        return [template(environment, data) if template else value for value, template in items]

    return build


def truthy(value: Json) -> bool:
    """As jq sees it: everything but ``false`` and ``null``."""
    return value is not None and value is not False
