"""Who calls: the credential that proves it."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from stagedoor.policies.authenticate.api_key import ApiKey, compile_api_key
from stagedoor.policies.model import Strict, wrong

Json = dict[str, Any]


class Scheme(Strict):
    """One way to prove who calls, with its settings: exactly one of these keys."""

    api_key: ApiKey | None = None
    """A key in a header or in the query."""

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if len(self.model_fields_set) != 1:
            raise wrong("expected exactly one scheme; another one is another entry of the list")
        return self


def _shape(value: Any) -> str:
    return "<name>" if isinstance(value, str) else "<settings>"


AnyScheme = Annotated[
    Annotated[Literal["api_key"], Tag("<name>")] | Annotated[Scheme, Tag("<settings>")], Discriminator(_shape)
]


class Authenticate(Strict):
    """Only known consumers pass; others are answered with 401."""

    any: Annotated[list[AnyScheme], Field(min_length=1, max_length=8)]
    """Ways to prove who calls: ``api_key``, or ``{api_key: {header: …, query: …}}``. The first that finds its
    credential decides; a wrong credential never falls through to the next."""


def compile_authenticate(policy: Authenticate) -> Json:
    """Its part of the snapshot."""
    return {"any": [_compile(scheme) for scheme in policy.any]}


def _compile(scheme: Literal["api_key"] | Scheme) -> Json:
    """A name alone is a scheme with its defaults."""
    if isinstance(scheme, str):
        scheme = Scheme(api_key=ApiKey())
    parts: Json = {}
    if scheme.api_key is not None:
        parts["api_key"] = compile_api_key(scheme.api_key)
    return parts
