"""``stagedoor/attributes``: what an execution is about, in a few names and plain values by which it is found again."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stagedoor.workflow import secret
from stagedoor.workflow.error import Failure, standard
from stagedoor.workflow.expression import Environment, Template
from stagedoor.workflow.place import Place, kind

if TYPE_CHECKING:
    from stagedoor.workflow.compiler import Compiler

Json = Any
Value = str | int | float | bool

ATTRIBUTES = "stagedoor/attributes"
MOST = 16
"""Names of one document, its tasks included."""
LONGEST = 256
"""Characters of a value, of a number those of its JSON."""

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,63}\Z")


@dataclass(frozen=True, slots=True)
class Attributes:
    """Those of one place in a document."""

    templates: tuple[tuple[str, Template], ...]

    def of(self, environment: Environment, data: Json) -> dict[str, Value | None]:
        """By name; None is one that there is not. Raises ``Failure`` for what is no plain value."""
        return {name: _value(name, template(environment, data), environment) for name, template in self.templates}


def compile(metadata: Place, compiler: Compiler, variables: Sequence[str]) -> Attributes | None:
    """``variables`` are known in the expressions."""
    if not isinstance(metadata.value, dict) or ATTRIBUTES not in metadata.value:
        return None
    place = metadata.at(ATTRIBUTES)
    if not place.mapping(minimum=1):
        return None
    known = tuple(name for name in variables if name != secret.SECRETS)
    templates = []
    for name in place.value:
        value = place.at(name)
        if not _NAME.match(name):
            value.problem(
                f"{name!r} is no name of an attribute", "letters, digits, '_', '.' and '-', at most 64, a letter first"
            )
        elif secret.mentions(value.value, (secret.SECRETS,)):
            value.problem("a secret cannot be an attribute", "attributes are stored and shown as they are")
        elif isinstance(value.value, dict | list) or value.value is None:
            value.problem(f"expected text, a number, a boolean or an expression, found {kind(value.value)}")
        else:
            compiler.attributes.add(name)
            templates.append((name, compiler.template(value, known)))
    if len(compiler.attributes) > MOST:
        place.problem(f"more than {MOST} attributes in one document")
    return Attributes(tuple(templates))


def text(value: Value) -> str:
    """As one asks for it: ``17``, ``true``, and a text as it is. 17.0 is 17."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, str) else repr(value)


def _value(name: str, value: Json, environment: Environment) -> Value | None:
    if value is None:
        return None
    if not isinstance(value, str | int | float) or (isinstance(value, float) and not math.isfinite(value)):
        raise _wrong(environment, f"the attribute {name} is {kind(value)}: it is text, a number or a boolean")
    try:
        length = len(text(value).encode("utf-16-le")) // 2
    except UnicodeEncodeError:
        raise _wrong(environment, f"the attribute {name} holds half a character") from None
    except ValueError:  # more digits than Python writes
        length = LONGEST + 1
    if length > LONGEST:
        raise _wrong(environment, f"the attribute {name} is longer than {LONGEST} characters")
    return value


def _wrong(environment: Environment, detail: str) -> Failure:
    return Failure(standard("validation", 400, "Attribute not valid", environment.reference, detail))
