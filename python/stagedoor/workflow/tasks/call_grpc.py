"""``call: grpc``: one unary method of a service, by its ``.proto`` file or its descriptors."""

from __future__ import annotations

import base64
import posixpath
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stagedoor._core import GrpcMethod
from stagedoor.workflow import authentication as authentications
from stagedoor.workflow import endpoint as endpoints
from stagedoor.workflow import resource
from stagedoor.workflow.authentication import Policy
from stagedoor.workflow.definition import Task
from stagedoor.workflow.expression import Template
from stagedoor.workflow.frame import Frame
from stagedoor.workflow.manner import Grpc, Manner
from stagedoor.workflow.secret import Deferred, late, mentions
from stagedoor.workflow.tasks.calling import CallTask, Prepared, key

if TYPE_CHECKING:
    from stagedoor.workflow.compiler import Common, Compiler, Within
    from stagedoor.workflow.place import Place

Json = Any

MAX_FILES = 200
"""Of one description."""
DESCRIPTORS = (".pb", ".binpb", ".desc", ".protoset")
"""Endings of files of descriptors; any other is a source."""

_IMPORT = re.compile(r'^\s*import\s+(?:public\s+|weak\s+)?"([^"]+)"\s*;', re.MULTILINE)
_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,61}[A-Za-z0-9])?\Z")


@dataclass(frozen=True, slots=True, kw_only=True)
class GrpcCall(CallTask):
    server: str
    grpc: Grpc
    arguments: Template | None
    authentication: Policy | None
    deferred: bool

    def prepare(self, frame: Frame) -> Prepared:
        data = frame.input
        arguments = self.arguments(frame, data) if self.arguments is not None else {}
        if not isinstance(arguments, dict | Deferred):
            raise ValueError("the arguments are not an object")
        proof = self.authentication(frame, data) if self.authentication is not None else None
        manner = Manner(proof, deferred=self.deferred, grpc=self.grpc)
        return Prepared("POST", self.server + self.grpc.path, {}, {}, arguments, manner)


def compile(place: Place, common: Common, compiler: Compiler, within: Within) -> Task | None:
    place.keys({"call", "with"})
    if not place.mapping(required=("with",)):
        return None
    said = place.at("with")
    if not said.mapping(required=("proto", "service", "method")):
        return None
    said.keys({"proto", "service", "method", "arguments"}, common=False)
    service = said.at("service")
    if not service.mapping(required=("name", "host")):
        return None
    service.keys({"name", "host", "port", "authentication"}, common=False)
    policy = None
    if "authentication" in service.value:
        policy = authentications.compile(service.at("authentication"), compiler, within)
    arguments = None
    if "arguments" in said.value and said.at("arguments").mapping():
        arguments = compiler.template(said.at("arguments"), late(within.variables))
    server = _server(service, compiler)
    method = _method(said, compiler)
    if server is None or method is None:
        return None
    return GrpcCall(
        **common,
        key=key(common["reference"]),
        server=server,
        grpc=Grpc(method.path, method),
        arguments=arguments,
        authentication=policy,
        deferred=mentions(said.value.get("arguments"), late(within.variables)),
    )


def _server(service: Place, compiler: Compiler) -> str | None:
    """``cluster://NAME``, or the origin of a plain host."""
    host = service.at("host").text()
    if host is None:
        return None
    if not _HOST.match(host):
        service.at("host").problem(f"{host!r} is neither the name of a cluster nor a host")
        return None
    port = service.value.get("port")
    if port is not None and (not isinstance(port, int) or isinstance(port, bool) or not 0 < port < 65536):
        service.at("port").problem("a port is a number from 1 to 65535")
        return None
    named = f"grpc://{host}" if port is None else f"grpc://{host}:{port}"
    server = compiler.resources.get(named, "server", service.at("host"))
    if server == named:
        server = f"cluster://{host}" if port is None else f"http://{host}:{port}"
    try:
        endpoint = endpoints.parse(f"{server}/")
    except ValueError as error:
        service.at("host").problem(str(error))
        return None
    compiler.reaches(endpoint, service.at("host"))
    if endpoint.cluster is None:
        compiler.grpc_hosts.add(endpoint.origin)
    return str(server)


def _method(said: Place, compiler: Compiler) -> GrpcMethod | None:
    uri = resource.external(said.at("proto"))
    service, method = said.at("service").at("name").text(), said.at("method").text()
    if uri is None or service is None or method is None:
        return None
    place = said.at("proto").at("endpoint")
    try:
        if uri.endswith(DESCRIPTORS):
            content = compiler.resources.get(uri, "bytes", place)
            return None if content is None else GrpcMethod.of_set(base64.b64decode(content), service, method)
        sources = _sources(uri, compiler, place)
        return None if sources is None else GrpcMethod.of_sources(sources, posixpath.basename(uri), service, method)
    except ValueError as wrong:
        place.problem(f"{uri}: {wrong}")
        return None


def _sources(uri: str, compiler: Compiler, place: Place) -> dict[str, str] | None:
    """The file and all that it imports, by the names of the imports; those are looked for beside it."""
    folder = posixpath.dirname(uri)
    sources: dict[str, str] = {}
    waiting = [posixpath.basename(uri)]
    while waiting:
        name = waiting.pop()
        # What the compiler knows by itself.
        if name in sources or name.startswith("google/"):
            continue
        if len(sources) == MAX_FILES:
            place.problem(f"{uri} imports more than {MAX_FILES} files")
            return None
        text = compiler.resources.get(f"{folder}/{name}" if folder else name, "text", place)
        if text is None:
            return None
        sources[name] = text
        waiting += _IMPORT.findall(_COMMENT.sub("", text))
    return sources
