"""``call: http``: one request to a service."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from stagedoor.workflow.definition import Task
from stagedoor.workflow.expression import Template
from stagedoor.workflow.frame import Frame
from stagedoor.workflow.manner import Manner
from stagedoor.workflow.place import suggestion
from stagedoor.workflow.request import Where, fields, strings, where
from stagedoor.workflow.secret import late, mentions
from stagedoor.workflow.tasks.calling import CallTask, Output, Prepared, key

if TYPE_CHECKING:
    from stagedoor.workflow.compiler import Common, Compiler, Within
    from stagedoor.workflow.place import Place

Json = Any

SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
METHODS = SAFE | {"POST", "PUT", "PATCH", "DELETE"}
FIELDS = {"method", "endpoint", "headers", "query", "body", "output", "redirect"}
OUTPUTS = ("content", "response", "raw")


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpCall(CallTask):
    method: str
    where: Where
    headers: Template | None
    query: Template | None
    body: Template | None
    manner: Manner | None
    """All of it but for the authentication, which is of one run."""

    def prepare(self, frame: Frame) -> Prepared:
        data = frame.input
        uri = self.where.uri(frame)
        headers = strings(self.headers(frame, data), "header") if self.headers is not None else {}
        query = strings(self.query(frame, data), "query parameter") if self.query is not None else {}
        body = self.body(frame, data) if self.body is not None else None
        manner = self.manner
        if manner is not None and self.where.authentication is not None:
            manner = Manner(self.where.authentication(frame, data), manner.follow, manner.deferred)
        return Prepared(self.method, uri, headers, query, body, manner)


def compile(place: Place, common: Common, compiler: Compiler, within: Within) -> Task | None:
    place.keys({"call", "with"})
    if not place.mapping(required=("with",)):
        return None
    request = place.at("with")
    if not request.mapping(required=("method", "endpoint")):
        return None
    request.keys(FIELDS, common=False)
    said = request.value
    endpoint = where(request.at("endpoint"), common["reference"], compiler, within)
    follow = redirect(request)
    variables = late(within.variables)
    secret = any(mentions(said.get(name), variables) for name in ("headers", "query", "body"))
    plain = endpoint.authentication is None and not follow and not secret
    verb = method(request.at("method"))
    return HttpCall(
        **common,
        key=key(common["reference"]),
        safe=verb in SAFE,
        method=verb,
        where=endpoint,
        headers=fields(request.at("headers"), compiler, within, "header") if "headers" in said else None,
        query=fields(request.at("query"), compiler, within, "query") if "query" in said else None,
        body=(compiler.template(request.at("body"), variables) if said.get("body") is not None else None),
        output=output(request),
        redirect=follow,
        manner=None if plain else Manner(None, follow, secret),
    )


def output(request: Place) -> Output:
    return cast(Output, request.at("output").choice(OUTPUTS, "content"))


def redirect(request: Place) -> bool:
    said = request.value.get("redirect", False)
    if not isinstance(said, bool):
        request.at("redirect").problem("redirect is true or false")
    return bool(said)


def method(place: Place) -> str:
    text = place.text()
    if text is None:
        return "GET"
    found = text.upper()
    if found not in METHODS:
        near = suggestion(found, METHODS)
        place.problem(f"{text!r} is not an HTTP method", f"did you mean {near!r}?" if near else None)
    return found
