"""jq in the configuration: ``${ … }``."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator

from stagedoor.policies.model import wrong

_EXPRESSION = re.compile(r"\s*\$\{(.*)\}\s*", re.DOTALL)


def expression(value: str) -> str | None:
    """The jq between ``${`` and ``}``; None where the text is no expression."""
    match = _EXPRESSION.fullmatch(value)
    return match[1].strip() if match else None


def _expression(value: str) -> str:
    if expression(value) is None:
        raise wrong("expected an expression, for example ${ .body }", "put the jq between '${' and '}'")
    return value


Expression = Annotated[str, AfterValidator(_expression)]
