"""Requests of GraphQL on their way to a service."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Discriminator, Field, Tag, model_validator

from stagedoor.policies.model import HeaderName, Name, Strict, size, wrong
from stagedoor.policies.unit import Size

Json = dict[str, Any]
FILES = "graphql-files:"
"""Before a glob of documents: its name among the documents of the snapshot."""
_FIELD = re.compile(r"(?:[A-Za-z_][A-Za-z0-9_]*\.)?[A-Za-z_][A-Za-z0-9_]*")
_LENGTH = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*){0,7}")
_MEDIA_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]{1,100}/[a-z0-9!#$&^_.+-]{1,100}")


def _field(value: str) -> str:
    if not _FIELD.fullmatch(value):
        raise wrong("expected a field such as Query.search or search")
    return value


def _length(value: str) -> str:
    if not _LENGTH.fullmatch(value):
        raise wrong("expected the name of an argument such as first, or a path into one such as page.first")
    return value


def _media_type(value: str) -> str:
    if not _MEDIA_TYPE.fullmatch(value.lower()):
        raise wrong("expected a media type such as multipart/form-data")
    if value.lower() == "application/json":
        raise wrong("application/json is what is read")
    return value.lower()


File = Annotated[str, Field(min_length=1, max_length=1000)]
Price = Annotated[int, Field(ge=0, le=1_000_000_000)]
Bound = Annotated[int, Field(ge=1, le=1_000_000_000)]


class GraphqlDocuments(Strict):
    """Documents that the gateway knows, and clients may ask for by an id."""

    files: Annotated[list[File], Field(min_length=1, max_length=100)]
    """Globs, relative to the configuration's folder and within it: ``.graphql`` and ``.gql`` files of operations, and
    ``.json`` manifests."""
    only: bool = True
    """Other documents are refused."""


class GraphqlCost(Strict):
    """What an operation costs: the sum over all objects that it may yield."""

    object: Price = 1
    """Of an object, and of any field with a selection where no schema says otherwise."""
    leaf: Price = 0
    """Of a scalar or an enumeration."""
    list_size: Annotated[int, Field(ge=1, le=1_000_000)] = 10
    """Items of a list of which neither an argument nor the schema says how long it is. Which field is a list says the
    schema; without one this is not used."""
    lengths: Annotated[list[Annotated[str, AfterValidator(_length)]], Field(max_length=50)] = ["first", "last", "limit"]
    """Arguments that say how long a list is, also as paths into input objects: ``page.first``. Of a list as value its
    length counts, of several arguments the largest; a number below 0, or no number, counts as endless."""
    fields: Annotated[dict[Annotated[str, AfterValidator(_field)], Price], Field(max_length=10_000)] = {}
    """``Type.field``, or ``field`` on every type → what it costs by itself, once for each time it is asked for."""


class GraphqlCallers(Strict):
    """Some of those who call."""

    consumers: Annotated[list[str], Field(max_length=1000)] = []
    """These."""
    groups: Annotated[list[Name], Field(max_length=100)] = []
    """All of these groups."""

    @model_validator(mode="after")
    def _somebody(self) -> Self:
        if not self.consumers and not self.groups:
            raise wrong("it names nobody", "'off' is for nobody")
        return self


def _callers(value: Any) -> str:
    return "<callers>" if isinstance(value, dict | GraphqlCallers) else "<word>"


Introspection = Annotated[
    Annotated[Literal["off", "all"], Tag("<word>")] | Annotated[GraphqlCallers, Tag("<callers>")],
    Discriminator(_callers),
]


class Graphql(Strict):
    """Documents are read, measured and held to rules before the service sees them."""

    schema_file: Annotated[File | None, Field(alias="schema")] = None
    """A schema in its definition language, relative to the configuration's folder, and within it: documents must fit
    it, and costs know which fields are lists."""
    unknown: Literal["refuse", "pass"] = "refuse"
    """Documents that do not fit the schema are refused, or pass; the schema is then used for costs alone."""
    documents: GraphqlDocuments | None = None
    """Documents that are known."""
    automatic: bool = False
    """Documents that came once may be asked for by their SHA-256 from then on (automatic persisted queries), as long as
    the gateway remembers them."""
    operations: Annotated[list[Literal["query", "mutation", "subscription"]], Field(min_length=1, max_length=3)] = [
        "query",
        "mutation",
        "subscription",
    ]
    """The kinds that may be asked for."""
    max_tokens: Annotated[int, Field(ge=1, le=100_000)] = 2000
    """Tokens of a document; spaces, commas and comments are none."""
    max_depth: Annotated[int, Field(ge=1, le=100)] = 16
    """Fields within each other."""
    max_fields: Bound = 1000
    """Fields, those of fragments as often as they are spread."""
    max_aliases: Annotated[int, Field(ge=0, le=1_000_000_000)] = 30
    """Fields under another name, counted likewise."""
    max_root_fields: Bound = 20
    """Fields of the outermost level."""
    max_directives: Annotated[int, Field(ge=0, le=1_000_000_000)] = 50
    """Directives, counted as fields are."""
    max_cost: Bound = 5000
    """What the operations of a request may cost together."""
    cost: GraphqlCost = GraphqlCost()
    """How costs are counted."""
    introspection: Introspection = "off"
    """Who may ask what the schema is (``__schema``, ``__type`` and a federation's ``_service``): nobody, everybody, or
    ``{consumers: […], groups: […]}``."""
    batch: Annotated[int, Field(ge=0, le=100)] = 0
    """Operations that one request may hold as a list; 0: lists are refused."""
    body: Size = size("1MiB", least="1B", most="16MiB")
    """Content of a request; more is answered with 413. ``limits.body`` holds too."""
    unread: Annotated[list[Annotated[str, AfterValidator(_media_type)]], Field(max_length=20)] = []
    """Media types besides ``application/json`` that pass, and in which nothing is looked at: none of the rules here
    holds for them. Uploads are ``multipart/form-data``."""
    csrf_headers: Annotated[list[HeaderName], Field(max_length=20)] = [
        "apollo-require-preflight",
        "x-apollo-operation-name",
        "graphql-require-preflight",
    ]
    """One of them, with any value, comes with each GET and each content that a page of another site could send unasked,
    unless the browser says that the page is the site's own. Empty: nothing of the kind is asked for."""
    websocket: Literal["refuse", "pass"] = "refuse"
    """WebSockets, in which nothing is looked at; they need ``upgrade`` too."""


def compile_graphql(policy: Graphql) -> Json:
    """Its part of the snapshot; the files themselves are beside the routes."""
    documents, cost, who = policy.documents, policy.cost, policy.introspection
    return {
        "schema": policy.schema_file,
        "unknown": policy.unknown == "pass",
        "trusted": None
        if documents is None
        else {"files": [FILES + glob for glob in documents.files], "only": documents.only},
        "automatic": policy.automatic,
        "operations": list(policy.operations),
        "limits": {
            "tokens": policy.max_tokens,
            "depth": policy.max_depth,
            "fields": policy.max_fields,
            "aliases": policy.max_aliases,
            "root_fields": policy.max_root_fields,
            "directives": policy.max_directives,
            "cost": policy.max_cost,
        },
        "cost": {
            "object": cost.object,
            "leaf": cost.leaf,
            "list": cost.list_size,
            "lengths": list(cost.lengths),
            "fields": dict(cost.fields),
        },
        "introspection": {
            "all": who == "all",
            "consumers": list(who.consumers) if isinstance(who, GraphqlCallers) else [],
            "groups": list(who.groups) if isinstance(who, GraphqlCallers) else [],
        },
        "batch": policy.batch,
        "body_bytes": int(policy.body),
        "unread": list(policy.unread),
        "csrf_headers": list(policy.csrf_headers),
        "websocket": policy.websocket == "pass",
    }
