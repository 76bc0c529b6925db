"""Requests and responses made into others."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from stagedoor.policies.model import HeaderName, HeaderValue, Method, OneSpelling, Strict, size, wrong
from stagedoor.policies.unit import Size
from stagedoor.policies.validate import File

_EXPRESSION = re.compile(r"\s*\$\{.*\}\s*", re.DOTALL)
_STATUSES = re.compile(r"([2-5][0-9][0-9])(?:-([2-5][0-9][0-9]))?")


def _expression(value: str) -> str:
    if not _EXPRESSION.fullmatch(value):
        raise wrong("expected an expression, for example ${ {id: .sku} }", "put the jq between '${' and '}'")
    return value


def _statuses(value: str | int) -> str:
    match = _STATUSES.fullmatch(str(value))
    if match is None or int(match[1]) > int(match[2] or match[1]):
        raise wrong("expected a status such as 404, or a range such as 200-299, within 200–599")
    return str(value)


def _status(value: str | int) -> str | int:
    if isinstance(value, int) and 200 <= value <= 599:
        return value
    if isinstance(value, str) and _EXPRESSION.fullmatch(value):
        return value
    raise wrong("expected a status from 200 to 599, or ${ jq } that yields one")


FieldName = Annotated[str, Field(min_length=1, max_length=1000)]
Fields = Annotated[list[FieldName], Field(max_length=200)]
Text = Annotated[str, Field(max_length=8192)]
Body = Annotated[str, AfterValidator(_expression)]


class HeaderEdits(Strict):
    """Headers to remove and set, in this order."""

    remove: Annotated[list[HeaderName], Field(max_length=100)] = []
    """Names of headers."""
    set: Annotated[dict[HeaderName, HeaderValue], Field(max_length=100), OneSpelling] = {}
    """Name → value: text, or ``${ jq }`` over the variables: null of it removes it."""


class QueryEdits(Strict):
    """Parameters of the query to remove and set, in this order."""

    remove: Annotated[list[Text], Field(max_length=100)] = []
    """Names of parameters."""
    set: Annotated[dict[str, Text], Field(max_length=100)] = {}
    """Name → value: text, or ``${ jq }`` over the variables: a list gives it several times, null of it removes it."""


class _Content(Strict):
    body: Body | None = None
    """``${ jq }`` over the content: what it becomes."""
    pick: Fields = []
    """Fields such as ``address.city`` that are taken. Left out: all."""
    deny: Fields = []
    """Fields that are left out."""
    rename: Annotated[dict[str, Annotated[str, Field(max_length=1000)]], Field(max_length=200)] = {}
    """Field → its new name."""
    mask: Fields = []
    """Fields whose values become ``"***"``."""
    write: Literal["json", "form", "xml"] | None = None
    """What the content is written as. Left out: as what it was read."""
    max_size: Size = size("1MiB", least="1B", most="16MiB")
    """Content that is read, or one event of a stream."""
    other: Literal["pass", "refuse"] | None = None
    """What becomes of content that is no JSON, form or XML, or is in another coding than gzip, deflate, br and zstd.
    Left out: refused where fields are picked, denied or masked, since nothing can be hidden in it; otherwise it
    passes."""


class TransformRequest(_Content):
    """What the target gets in place of the client's request."""

    openapi: File | None = None
    """An OpenAPI document in whose words the client asks: ``stagedoor check`` compares names of fields with it. Left
    out: that of ``validate``."""

    method: Method | None = None
    """The method."""
    path: Text | None = None
    """The path that a cluster is asked for, text or with ``${ jq }`` over the variables. Left out: the target's."""
    query: QueryEdits = QueryEdits()
    """Changes of the query that a cluster is asked with."""
    headers: HeaderEdits = HeaderEdits()
    """Changes of headers."""


class TransformResponse(_Content):
    """What the client gets in place of the target's answer."""

    openapi: File | None = None
    """An OpenAPI document of the service: ``stagedoor check`` compares names of fields with it. Left out: that of
    ``validate``, which may describe what is read or what comes of it."""

    statuses: Annotated[list[Annotated[str | int, AfterValidator(_statuses)]], Field(max_length=50)] = []
    """Answers that are changed: statuses (``404``) and ranges of them (``200-299``). Left out: all."""
    status: Annotated[str | int, AfterValidator(_status)] | None = None
    """The status: a number, or ``${ jq }`` over the variables."""
    headers: HeaderEdits = HeaderEdits()
    """Changes of headers."""
    errors: Literal["pass", "problem"] = "pass"
    """Answers of 400 and above: as they are, or as problem details (RFC 9457) with the words that JSON of the service
    has for them."""


def compile_transform_request(policy: TransformRequest) -> dict[str, Any]:
    """Its part of the snapshot."""
    return {
        "method": policy.method,
        "path": policy.path,
        "query": {"remove": list(policy.query.remove), "set": dict(policy.query.set)},
        "headers": _headers(policy.headers),
        "content": _content(policy),
    }


def compile_transform_response(policy: TransformResponse) -> dict[str, Any]:
    """Its part of the snapshot."""
    return {
        "statuses": [list(each) for each in status_ranges(policy)],
        "status": None if policy.status is None else str(policy.status),
        "headers": _headers(policy.headers),
        "content": _content(policy),
        "problems": policy.errors == "problem",
    }


def status_ranges(policy: TransformResponse) -> list[tuple[int, int]]:
    """Both ends included; empty is all."""
    ranges = [str(each).partition("-") for each in policy.statuses]
    return [(int(first), int(last or first)) for first, _, last in ranges]


def _headers(edits: HeaderEdits) -> dict[str, Any]:
    return {"remove": list(edits.remove), "set": dict(edits.set)}


def _content(policy: _Content) -> dict[str, Any]:
    hides = bool(policy.pick or policy.deny or policy.mask)
    return {
        "filter": policy.body,
        "shape": {
            "pick": list(policy.pick),
            "deny": list(policy.deny),
            "rename": dict(policy.rename),
            "mask": list(policy.mask),
        },
        "write": policy.write,
        "body_bytes": int(policy.max_size),
        "refuse_other": hides if policy.other is None else policy.other == "refuse",
    }
