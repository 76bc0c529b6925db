"""Requests and responses as a description says they are."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from stagedoor.policies.model import Strict, size, wrong
from stagedoor.policies.unit import Size

_RANGE = re.compile(r"\*/\*|[a-z0-9!#$&^_.+-]{1,100}/(\*|[a-z0-9!#$&^_.+-]{1,100})")


def _range(value: str) -> str:
    if not _RANGE.fullmatch(value.lower()):
        raise wrong("expected a media type such as application/json or image/*")
    return value.lower()


def _base(value: str) -> str:
    if not value.startswith("/"):
        raise wrong("expected a path such as /v1")
    return value


File = Annotated[str, Field(min_length=1, max_length=1000)]


class Validate(Strict):
    """Requests are as they are described, or are refused with everything that is wrong with them."""

    openapi: File | None = None
    """An OpenAPI document, 3.0 or 3.1, in YAML or JSON; relative to the configuration's folder, and within it."""
    json_schema: Annotated[File | None, Field(alias="schema")] = None
    """A JSON Schema for the body alone, in place of ``openapi``: every request has a JSON body that is valid."""
    base_path: Annotated[str, Field(max_length=1000), AfterValidator(_base)] | None = None
    """What comes before the document's paths in the request's path. Left out: the path of its first server."""
    content_types: Annotated[list[Annotated[str, AfterValidator(_range)]], Field(max_length=100)] = []
    """The media types that a body may have, ``type/subtype`` or ``type/*``; others are answered with 415. Left out:
    any, or those of the document."""
    response_types: Annotated[list[Annotated[str, AfterValidator(_range)]], Field(max_length=100)] = []
    """The media types that the content of a response may have; others are told of or enforced as ``responses`` says.
    Left out: any, or those of the document."""
    unknown: Literal["refuse", "pass"] = "refuse"
    """Requests for a path or method that the document does not have: 404 and 405, or pass unchecked."""
    body: Size = size("1MiB", least="0B", most="64MiB")
    """Content of a request that is read for validation; more is answered with 413. ``limits.body`` holds too."""
    responses: Literal["off", "report", "enforce"] = "off"
    """Responses that are not as the document says: nothing, a word in the log, or 502 in their place."""
    response_body: Size = size("1MiB", least="0B", most="64MiB")
    """Content of a response that is read for validation."""
    larger_responses: Literal["refuse", "pass"] = "refuse"
    """What becomes of a response that is larger, where they are enforced."""

    @model_validator(mode="after")
    def _something_to_do(self) -> Self:
        if self.openapi is not None and self.json_schema is not None:
            raise wrong("'openapi' and 'schema' do not go together", "an OpenAPI document has schemas of its own")
        described = self.openapi is not None or self.json_schema is not None
        if not described and not self.content_types and not self.response_types:
            raise wrong("it needs 'openapi', 'schema', 'content_types' or 'response_types': nothing would be checked")
        if self.openapi is None and self.base_path is not None:
            raise wrong("'base_path' needs 'openapi', which describes paths")
        if self.openapi is None and not self.response_types and self.responses != "off":
            raise wrong("'responses' needs 'openapi' or 'response_types', which describe them")
        if self.response_types and self.responses == "off":
            raise wrong("'response_types' needs 'responses': report or enforce")
        return self


def compile_validate(policy: Validate) -> dict[str, Any]:
    """Its part of the snapshot; the documents themselves are beside the routes."""
    responses = {
        "enforce": policy.responses == "enforce",
        "body_bytes": int(policy.response_body),
        "larger": policy.larger_responses == "pass",
    }
    return {
        "openapi": policy.openapi,
        "schema": policy.json_schema,
        "base_path": policy.base_path,
        "content_types": list(policy.content_types),
        **({"response_types": list(policy.response_types)} if policy.response_types else {}),
        "unknown": policy.unknown == "pass",
        "body_bytes": int(policy.body),
        "responses": None if policy.responses == "off" else responses,
    }
