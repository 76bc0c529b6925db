"""Clients speak HTTP, the service GraphQL."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from stagedoor.policies.model import StatusCode, Strict, size, wrong
from stagedoor.policies.unit import Size

FILE = "graphql-file:"
"""Before the name of a file with an operation: its name among the documents of the snapshot."""
STATUSES = {
    "BAD_USER_INPUT": 400,
    "UNAUTHENTICATED": 401,
    "FORBIDDEN": 403,
    "NOT_FOUND": 404,
    "CONFLICT": 409,
    "RATE_LIMITED": 429,
    "TIMEOUT": 504,
}
"""What services say most often."""
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_PICK = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*){0,31}")
_SOURCE = re.compile(r"(path|query|header|body|consumer)\.([A-Za-z0-9_-]+)")
_EXPRESSION = re.compile(r"\s*\$\{.*\}\s*", re.DOTALL)


def _name(value: str) -> str:
    if not _NAME.fullmatch(value):
        raise wrong("expected a name of GraphQL: letters, digits and '_'")
    return value


def _pick(value: str) -> str:
    if not _PICK.fullmatch(value):
        raise wrong("expected a path into the data such as product or viewer.orders")
    return value


def _source(value: str) -> str:
    if not _SOURCE.fullmatch(value) and not _EXPRESSION.fullmatch(value):
        raise wrong("expected path.NAME, query.NAME, header.NAME, body.NAME, consumer.NAME or an expression ${ jq }")
    return value


def _expression(value: str) -> str:
    if not _EXPRESSION.fullmatch(value):
        raise wrong("expected an expression, for example ${ {id: .sku} }", "put the jq between '${' and '}'")
    return value


def _service_path(value: str) -> str:
    if not value.startswith("/") or "?" in value or "#" in value:
        raise wrong("expected a path such as /graphql")
    return value


File = Annotated[str, Field(min_length=1, max_length=1000)]
Text = Annotated[str, Field(min_length=1, max_length=65536)]
GraphqlName = Annotated[str, Field(max_length=200), AfterValidator(_name)]


class TranslateGraphql(Strict):
    """A stored operation of GraphQL answers the route."""

    operation: Text | None = None
    """The document."""
    file: File | None = None
    """A file with the document in place of ``operation``, relative to the configuration's folder, and within it."""
    operation_name: GraphqlName | None = None
    """The operation that is meant where the document has several."""
    schema_file: Annotated[File | None, Field(alias="schema")] = None
    """A schema that the document must fit, likewise a file."""
    path: Annotated[str, Field(max_length=1000), AfterValidator(_service_path)] = "/graphql"
    """The service's path."""
    method: Literal["POST", "GET"] = "POST"
    """How the service is asked. A mutation is sent by POST."""
    variables: Annotated[dict[GraphqlName, Annotated[str, AfterValidator(_source)]], Field(max_length=100)] = {}
    """Variable → where it comes from: ``path.NAME``, ``query.NAME``, ``header.NAME``, ``body.NAME``,
    ``consumer.NAME``, or ``${ jq }`` over the request. One that is not named here has the value of its name in the
    path, else in the query, else in the JSON content."""
    pick: Annotated[str, AfterValidator(_pick)] | None = None
    """A path into the data: what the answer is. Left out: all of the data."""
    missing: StatusCode = 404
    """The status where that is null and the service tells no error."""
    body: Annotated[str, Field(max_length=65536), AfterValidator(_expression)] | None = None
    """``${ jq }`` over what is picked, with ``$errors`` and ``$request``: what the answer becomes."""
    status: StatusCode = 200
    """The status of an answer with data."""
    partial: Literal["refuse", "pass"] = "refuse"
    """Data beside errors: an error, or an answer all the same unless what is picked is null."""
    statuses: Annotated[
        dict[Annotated[str, Field(min_length=1, max_length=100)], StatusCode], Field(max_length=100)
    ] = {}
    """``extensions.code`` of the service's errors → status, besides the usual ones. An error of no such code is 502."""
    max_size: Size = size("1MiB", least="1B", most="16MiB")
    """Content of a request and of the service's answer; more is 413, or 502."""

    @model_validator(mode="after")
    def _one_document(self) -> Self:
        if (self.operation is None) == (self.file is None):
            raise wrong("it needs either 'operation' or 'file'")
        return self


def _jq(source: str) -> str:
    """An expression, also of what is only named."""
    match = _SOURCE.fullmatch(source)
    if match is None:
        return source
    part = {"path": "params", "header": "headers"}.get(match[1], match[1])
    name = match[2].lower() if match[1] == "header" else match[2]
    return f'.{part} | if type == "object" then .["{name}"] else null end'


def compile_graphql(policy: TranslateGraphql, folder: Path) -> dict[str, Any]:
    """Its part of the snapshot; files are beside the routes."""
    return {
        "operation": policy.operation,
        "file": None if policy.file is None else FILE + policy.file,
        "operation_name": policy.operation_name,
        "schema": policy.schema_file,
        "path": policy.path,
        "get": policy.method == "GET",
        "variables": {name: _jq(source) for name, source in policy.variables.items()},
        "pick": [] if policy.pick is None else policy.pick.split("."),
        "missing": policy.missing,
        "body": policy.body,
        "status": policy.status,
        "partial": policy.partial == "pass",
        "statuses": STATUSES | policy.statuses,
        "max_bytes": int(policy.max_size),
    }
