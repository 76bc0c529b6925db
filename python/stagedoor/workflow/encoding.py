"""Events as JSON, the way the event log keeps them. A type whose fields change meaning gets a new name."""

from __future__ import annotations

from dataclasses import MISSING, Field, fields
from typing import Any, get_args

from stagedoor.errors import StagedoorError
from stagedoor.workflow.events import Event

Json = Any


class UnknownEvent(StagedoorError):
    """The log holds an event that this version does not know."""


def encode(event: Event) -> dict[str, Json]:
    """``{type, at, …}``; fields that hold their default are left out."""
    encoded: dict[str, Json] = {"type": type(event).__name__}
    for name, default in _FIELDS[type(event)]:
        value = getattr(event, name)
        if value != default or default is MISSING:
            encoded[name] = value
    return encoded


def decode(encoded: dict[str, Json]) -> Event:
    """Raises ``UnknownEvent``."""
    values = dict(encoded)
    name = values.pop("type", None)
    kind = _TYPES.get(name)
    if kind is None:
        raise UnknownEvent(f"no event is named {name!r}")
    try:
        event: Event = kind(**values)
    except TypeError as error:
        raise UnknownEvent(f"not a {name}: {error}") from error
    return event


def _default(field: Field[Any]) -> Any:
    return field.default_factory() if field.default_factory is not MISSING else field.default


_TYPES: dict[Any, Any] = {kind.__name__: kind for kind in get_args(Event)}
_FIELDS = {kind: tuple((field.name, _default(field)) for field in fields(kind)) for kind in get_args(Event)}
