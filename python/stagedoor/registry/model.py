"""What may be asked for of any credential: the bodies of the admin endpoint's requests."""

from __future__ import annotations

from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, Field, ValidationError

from stagedoor.config.consumer import Network
from stagedoor.config.plan import Plan
from stagedoor.config.time import Time, seconds
from stagedoor.policies.model import Name, Scope, Strict, duration, wrong
from stagedoor.policies.unit import Duration
from stagedoor.registry.refused import Refused

Model = TypeVar("Model", bound=Strict)


def _printable(value: str) -> str:
    if not value.isprintable():
        raise wrong("expected text without control characters")
    return value


class ConsumerChange(Strict):
    """What is left out stays as it is."""

    groups: Annotated[list[Name], Field(max_length=100)] | None = None
    plan: Name | None = None
    """``null`` takes the plan away."""
    disabled: bool | None = None
    """Its credentials are refused while it is."""
    versions: Annotated[dict[Name, Name], Field(max_length=100)] | None = None
    """API → the version that it is pinned to."""


class NewConsumer(ConsumerChange):
    name: Name


class Rights(Strict):
    """What is left out does not restrict."""

    description: Annotated[str, Field(max_length=200), AfterValidator(_printable)] = ""
    scopes: Annotated[list[Scope], Field(max_length=100)] = []
    expires: Time | None = None
    routes: Annotated[list[Name], Field(min_length=1, max_length=1000)] | None = None
    networks: Annotated[list[Network], Field(min_length=1, max_length=1000)] | None = None


class NewKey(Rights):
    pass


class Rotation(Strict):
    overlap: Duration = duration("1d", least="0s", most="365d")
    """How long the old one stays good."""


class NewPlan(Plan):
    name: Name


def rights(asked: Rights, now: int) -> dict[str, Any]:
    """As they are kept; Refused where the end is over already."""
    expires = None if asked.expires is None else seconds(asked.expires)
    if expires is not None and expires <= now:
        raise Refused(400, "expires: that time is over")
    return asked.model_dump(include=set(Rights.model_fields)) | {"expires": expires}


def ending(expires: int | None, asked: Rotation, now: int) -> int:
    """When what is rotated ends: no later than it would have."""
    end = now + int(asked.overlap) // 1000
    return end if expires is None else min(end, expires)


def read(model: type[Model], body: Any) -> Model:
    """A body as what it asks for; Refused tells everything that is wrong with it, and no value."""
    try:
        return model.model_validate(body)
    except ValidationError as invalid:
        mistakes = [f"{'.'.join(map(str, error['loc'])) or 'the body'}: {error['msg']}" for error in invalid.errors()]
        raise Refused(400, "; ".join(mistakes[:10])) from None
