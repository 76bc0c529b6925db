"""``call``: which kind of call a task is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stagedoor.workflow.definition import Task
from stagedoor.workflow.tasks import (
    call_activity,
    call_compensate,
    call_function,
    call_grpc,
    call_http,
    call_mcp,
    call_openapi,
)

if TYPE_CHECKING:
    from stagedoor.workflow.compiler import Common, Compiler, Within
    from stagedoor.workflow.place import Place

PROTOCOLS = {
    "activity": call_activity.compile,
    "compensate": call_compensate.compile,
    "grpc": call_grpc.compile,
    "http": call_http.compile,
    "mcp": call_mcp.compile,
    "openapi": call_openapi.compile,
}
SPECIFIED = ("grpc", "http", "mcp", "openapi")
REFUSED = {
    "asyncapi": "not supported: asyncapi calls need a broker's protocol, which the gateway does not speak",
    "a2a": "not supported: a2a calls need an agent's long tasks, which the gateway does not follow",
}
"""What a runtime may leave out, and why this one does."""


def compile(place: Place, common: Common, compiler: Compiler, within: Within) -> Task | None:
    called = place.value["call"]
    if not isinstance(called, str):
        place.at("call").text()
        return None
    if called in REFUSED:
        place.at("call").problem(REFUSED[called], "call the service with http, openapi, grpc or mcp")
        return None
    # The specification's own words come first, the words of this runtime after the document's.
    own = called in compiler.functions and called not in SPECIFIED
    kind = call_function.compile if own else PROTOCOLS.get(called, call_function.compile)
    return kind(place, common, compiler, within)
