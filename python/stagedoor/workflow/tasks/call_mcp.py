"""``call: mcp``: one request to a server of the Model Context Protocol, over Streamable HTTP."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stagedoor.workflow.definition import Task
from stagedoor.workflow.expression import Template
from stagedoor.workflow.frame import Frame
from stagedoor.workflow.manner import Manner, Mcp
from stagedoor.workflow.request import Where, fields, strings, where
from stagedoor.workflow.retry import Duration, evaluate
from stagedoor.workflow.secret import Deferred, late, mentions
from stagedoor.workflow.tasks.calling import CallTask, Prepared, key

if TYPE_CHECKING:
    from stagedoor.workflow.compiler import Common, Compiler, Within
    from stagedoor.workflow.place import Place

Json = Any

VERSION = "2025-06-18"
METHODS = (
    "tools/list",
    "tools/call",
    "prompts/list",
    "prompts/get",
    "resources/list",
    "resources/read",
    "resources/templates/list",
)
NEEDS = {"tools/call": "name", "prompts/get": "name", "resources/read": "uri"}
"""Method → the parameter that it cannot be without."""
_VERSION = re.compile(r"\d{4}-\d{2}-\d{2}\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class McpCall(CallTask):
    where: Where
    headers: Template | None
    parameters: Template | None
    request: Mcp
    timeout_after: Duration | None
    deferred: bool

    def prepare(self, frame: Frame) -> Prepared:
        data = frame.input
        headers = strings(self.headers(frame, data), "header") if self.headers is not None else {}
        parameters = self.parameters(frame, data) if self.parameters is not None else {}
        if not isinstance(parameters, dict | Deferred):
            raise ValueError("the parameters are not an object")
        proof = self.where.authentication(frame, data) if self.where.authentication is not None else None
        timeout = evaluate(self.timeout_after, frame, data) if self.timeout_after is not None else None
        manner = Manner(proof, deferred=self.deferred, timeout=timeout, mcp=self.request)
        return Prepared("POST", self.where.uri(frame), headers, {}, parameters, manner)


def compile(place: Place, common: Common, compiler: Compiler, within: Within) -> Task | None:
    place.keys({"call", "with"})
    if not place.mapping(required=("with",)):
        return None
    said = place.at("with")
    if not said.mapping(required=("method", "transport")):
        return None
    said.keys({"protocolVersion", "method", "parameters", "timeout", "transport", "client"}, common=False)
    method = said.at("method").choice(METHODS, "")
    version = said.value.get("protocolVersion", VERSION)
    if not isinstance(version, str) or not _VERSION.match(version):
        said.at("protocolVersion").problem("a version of the protocol is a date like '2025-06-18'")
    _parameters(said, method)
    name, release = _client(said.at("client")) if "client" in said.value else ("stagedoor", "1")
    transport = _transport(said.at("transport"))
    if transport is None:
        return None
    headers = transport.at("headers") if "headers" in transport.value else None
    if headers is not None and not headers.mapping():
        return None
    variables = late(within.variables)
    deferred = mentions([said.value.get("parameters"), headers.value if headers is not None else None], variables)
    return McpCall(
        **common,
        key=key(common["reference"]),
        safe=method != "tools/call",
        where=where(transport.at("endpoint"), common["reference"], compiler, within),
        headers=fields(headers, compiler, within, "header") if headers is not None else None,
        parameters=(compiler.template(said.at("parameters"), variables) if "parameters" in said.value else None),
        request=Mcp(method, str(version), name, release),
        timeout_after=compiler.duration(said.at("timeout"), within.variables) if "timeout" in said.value else None,
        deferred=deferred,
    )


def _parameters(said: Place, method: str) -> None:
    needed = NEEDS.get(method)
    if "parameters" not in said.value:
        if needed is not None:
            said.problem(f"{method} needs parameters with {needed!r}")
        return
    parameters = said.at("parameters")
    if isinstance(parameters.value, dict):
        if needed is not None:
            parameters.mapping(required=(needed,))
    elif not parameters.is_expression():
        parameters.problem("the parameters are an object or an expression")


def _client(place: Place) -> tuple[str, str]:
    if not place.mapping(required=("name", "version")):
        return "", ""
    place.keys({"name", "version"}, common=False)
    return str(place.at("name").text()), str(place.at("version").text())


def _transport(place: Place) -> Place | None:
    """``http`` of it."""
    if not place.mapping():
        return None
    place.keys({"http", "stdio", "options"}, common=False)
    if "stdio" in place.value:
        place.at("stdio").problem("not supported: an MCP server as a process", "run it as a service, and use http")
        return None
    if place.value.get("options"):
        place.at("options").problem("not supported: options of a transport")
    if not place.mapping(required=("http",)):
        return None
    http = place.at("http")
    if not http.mapping(required=("endpoint",)):
        return None
    http.keys({"endpoint", "headers"}, common=False)
    return http
