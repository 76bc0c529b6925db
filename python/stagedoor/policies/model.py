"""What every model of the configuration shares."""

from __future__ import annotations

import re
from typing import Annotated, Any

from annotated_types import Ge, Le
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from stagedoor.policies.unit import Duration, Size

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
"""RFC 9110 §5.6.2."""
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")


class Strict(BaseModel):
    """Unknown keys are errors, nothing is converted, and a value never changes."""

    model_config = ConfigDict(
        extra="forbid",
        strict=True,
        frozen=True,
        hide_input_in_errors=True,
        # Only what is validated by itself gets a validator of its own: most models are parts of `Settings` alone.
        defer_build=True,
    )


def wrong(message: str, hint: str | None = None) -> PydanticCustomError:
    """An error whose text is for the user as it stands; it never holds the value."""
    return PydanticCustomError("wrong", "{message}", {"message": message, "hint": hint})


def is_token(value: str) -> bool:
    return _TOKEN.fullmatch(value) is not None


def _header_name(value: str) -> str:
    if not is_token(value):
        raise wrong("expected the name of a header: letters, digits and '-'")
    return value.lower()


def _one_spelling(value: Any) -> Any:
    """Of two spellings of one name, one would be lost without a word."""
    spellings: dict[str, str] = {}
    for name in value if isinstance(value, dict) else ():
        if isinstance(name, str) and spellings.setdefault(name.lower(), name) != name:
            raise wrong(f"the header '{name.lower()}' is here twice, in two spellings")
    return value


def _header_value(value: str) -> str:
    if any(char != "\t" and (ord(char) < 0x20 or ord(char) == 0x7F) for char in value):
        raise wrong("a header's value holds no line break or other control character")
    if value != value.strip(" \t"):
        raise wrong("a header's value does not begin or end with a space")
    return value


def _method(value: str) -> str:
    if not is_token(value) or len(value) > 32:
        raise wrong("expected a method, for example GET")
    if value.upper() == "CONNECT":
        raise wrong("the gateway does not serve the method CONNECT")
    if value != value.upper():
        raise wrong("methods are case-sensitive", f"did you mean '{value.upper()}'?")
    return value


def _scope(value: str) -> str:
    if not re.fullmatch(r"[!#-\[\]-~]{1,100}", value):
        raise wrong("a scope is 1 to 100 characters of visible ASCII without quotes and backslashes")
    return value


def _name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise wrong("a name is 1 to 100 letters, digits, '_', '.' and '-', and begins with none of the last two")
    return value


Name = Annotated[str, AfterValidator(_name)]
"""Letters, digits, ``_ . -``, at most 100."""
Scope = Annotated[str, AfterValidator(_scope)]
"""RFC 6749 §3.3."""
HeaderName = Annotated[str, AfterValidator(_header_name)]
"""Any case; kept in lower case."""
HeaderValue = Annotated[str, AfterValidator(_header_value)]
OneSpelling = BeforeValidator(_one_spelling)
"""For maps by the names of headers."""
Method = Annotated[str, AfterValidator(_method)]
StatusCode = Annotated[int, Ge(200), Le(599)]


def duration(default: str | None, *, least: str, most: str, optional: bool = False) -> Any:
    """A field of type ``Duration`` with its bounds."""
    return _bounded(Duration, default, least, most, optional)


def size(default: str | None, *, least: str, most: str, optional: bool = False) -> Any:
    """A field of type ``Size`` with its bounds."""
    return _bounded(Size, default, least, most, optional)


def _bounded(unit: type[Duration] | type[Size], default: str | None, least: str, most: str, optional: bool) -> Any:
    value: Any = unit.parse(default) if default is not None else None if optional else ...
    bounds: dict[str, Any] = {"x-least": least, "x-most": most}
    return Field(default=value, ge=unit.parse(least), le=unit.parse(most), json_schema_extra=bounds)
