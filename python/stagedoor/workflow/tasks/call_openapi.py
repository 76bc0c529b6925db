"""``call: openapi``: one operation of a description, called as that says."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from stagedoor.workflow import authentication as authentications
from stagedoor.workflow import endpoint as endpoints
from stagedoor.workflow import openapi, resource
from stagedoor.workflow.authentication import Policy
from stagedoor.workflow.definition import Task
from stagedoor.workflow.endpoint import scalar
from stagedoor.workflow.expression import Template
from stagedoor.workflow.frame import Frame
from stagedoor.workflow.manner import Manner
from stagedoor.workflow.openapi import Misdescribed, Operation, Parameter
from stagedoor.workflow.parameter import in_cookie, in_header, in_path, in_query
from stagedoor.workflow.place import suggestion
from stagedoor.workflow.request import OWN_HEADERS, check_header
from stagedoor.workflow.tasks.call_http import SAFE, output, redirect
from stagedoor.workflow.tasks.calling import CallTask, Prepared, key

if TYPE_CHECKING:
    from stagedoor.workflow.compiler import Common, Compiler, Within
    from stagedoor.workflow.place import Place

Json = Any

FIELDS = {"document", "operationId", "parameters", "authentication", "output", "redirect"}


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenapiCall(CallTask):
    operation: Operation
    parameters: Template | None
    authentication: Policy | None

    def prepare(self, frame: Frame) -> Prepared:
        operation = self.operation
        values = self.parameters(frame, frame.input) if self.parameters is not None else {}
        if not isinstance(values, dict):
            raise ValueError("the parameters are not an object")
        path, query, headers, cookies, fields = operation.path, [], {}, [], {}
        for parameter in operation.parameters:
            value = values.get(parameter.name)
            if value is None:
                if parameter.required or parameter.location == "path":
                    raise ValueError(f"the parameter {parameter.name!r} is missing")
            elif parameter.location == "path":
                text = in_path(parameter, value)
                if not text:
                    raise ValueError(f"the parameter {parameter.name!r} is empty")
                path = path.replace("{" + parameter.name + "}", text)
            elif parameter.location == "query":
                query += in_query(parameter, value)
            elif parameter.location == "header":
                headers[parameter.name] = in_header(parameter, value)
                check_header(parameter.name, headers[parameter.name])
            elif parameter.location == "cookie":
                cookies.append(in_cookie(parameter, value))
            else:
                fields[parameter.name] = _field(parameter.name, value, multi=parameter.explode)
        if any(segment in (".", "..") for segment in path.split("/")):
            raise ValueError("a parameter would make a '.' or '..' segment of the path")
        if cookies:
            headers["Cookie"] = "; ".join(cookies)
        if operation.accept is not None:
            headers["Accept"] = operation.accept
        body: Json = fields or None
        if operation.body is not None:
            body = values.get(operation.body)
            if body is None and operation.body_required:
                raise ValueError(f"the body is missing: it is the parameter {operation.body!r}")
        if body is not None and operation.content_type not in (None, "application/json"):
            headers["Content-Type"] = operation.content_type
        uri = operation.server + path + ("?" + "&".join(query) if query else "")
        manner = None
        if self.authentication is not None:
            manner = Manner(self._proof(frame), self.redirect)
        elif self.redirect:
            manner = Manner(None, True)
        return Prepared(operation.method, endpoints.check(uri), headers, {}, body, manner)

    def _proof(self, frame: Frame) -> Any:
        assert self.authentication is not None
        proof = self.authentication(frame, frame.input)
        # A key is a token of the service's own: it goes where the description wants it.
        if proof.scheme == "bearer" and self.operation.api_keys:
            return replace(proof, place=self.operation.api_keys[0])
        return proof


def _field(name: str, value: Json, *, multi: bool) -> Json:
    if isinstance(value, list):
        items = [_field(name, item, multi=False) for item in value]
        return items if multi else ",".join(items)
    text = scalar(value)
    if text is None:
        raise ValueError(f"the parameter {name!r} is neither text nor a number")
    return text


def compile(place: Place, common: Common, compiler: Compiler, within: Within) -> Task | None:
    place.keys({"call", "with"})
    if not place.mapping(required=("with",)):
        return None
    said = place.at("with")
    if not said.mapping(required=("document", "operationId")):
        return None
    said.keys(FIELDS, common=False)
    policy = None
    if "authentication" in said.value:
        policy = authentications.compile(said.at("authentication"), compiler, within)
    parameters = compiler.template(said.at("parameters"), within) if "parameters" in said.value else None
    if parameters is not None and not isinstance(said.value["parameters"], dict):
        said.at("parameters").mapping()
    follow, form = redirect(said), output(said)
    found = _operation(said, compiler)
    if found is None:
        return None
    _check(said, found, policy)
    return OpenapiCall(
        **common,
        key=key(common["reference"]),
        safe=found.method in SAFE,
        output=form,
        redirect=follow,
        operation=found,
        parameters=parameters,
        authentication=policy,
    )


def _operation(said: Place, compiler: Compiler) -> Operation | None:
    document, identifier = said.at("document"), said.at("operationId").text()
    uri = resource.external(document)
    if uri is None or identifier is None:
        return None
    description = compiler.resources.get(uri, "data", document.at("endpoint"))
    if description is None:
        return None
    base = uri if uri.startswith(("http://", "https://")) else None
    try:
        found = openapi.operation(description, identifier, base)
        relative = found.server.startswith(openapi.RELATIVE)
        server = compiler.resources.get(uri if relative else found.server, "server", document.at("endpoint"))
        if relative and server == uri:
            hint = f'write engine: {{servers: {{"{uri}": "cluster://NAME"}}}}, or an absolute URL in the document'
            raise Misdescribed("it does not say where its server is", hint)
        server = server.rstrip("/") + found.server.removeprefix(openapi.RELATIVE) if relative else server
        fixed, variable, _ = found.path.partition("{")
        known = endpoints.parse(server + (fixed[: fixed.rfind("/") + 1] if variable else fixed))
    except Misdescribed as wrong:
        unknown = str(wrong).startswith("there is no operation")
        (said.at("operationId") if unknown else document.at("endpoint")).problem(f"{uri}: {wrong}", wrong.hint)
        return None
    except ValueError as error:
        document.at("endpoint").problem(f"{uri}: its server: {error}")
        return None
    compiler.reaches(known, document.at("endpoint"))
    parameters = tuple(each for each in found.parameters if not _is_key(each))
    keyed = len(parameters) < len(found.parameters)
    return replace(found, server=server, parameters=parameters, keyed=keyed)


def _is_key(parameter: Parameter) -> bool:
    return parameter.location == "header" and parameter.name.lower() == "idempotency-key"


def _check(said: Place, operation: Operation, policy: Policy | None) -> None:
    """What can be said of the parameters before they are known."""
    given = said.value.get("parameters", {})
    known = [parameter.name for parameter in operation.parameters]
    if operation.body is not None:
        known.append(operation.body)
    if isinstance(given, dict):
        for name in given:
            if operation.keyed and name.lower() == "idempotency-key":
                said.at("parameters").at(name).problem(f"the header {name!r} is set by the engine", "leave it out")
            elif name not in known:
                near = suggestion(name, known)
                hint = (
                    f"did you mean {near!r}?" if near else f"there are: {', '.join(known)}" if known else "it has none"
                )
                said.at("parameters").at(name).problem(f"the operation has no parameter {name!r}", hint)
        wanted = [each.name for each in operation.parameters if each.required or each.location == "path"]
        if operation.body is not None and operation.body_required:
            wanted.append(operation.body)
        for name in wanted:
            if name not in given:
                said.at("parameters").problem(f"the parameter {name!r} is missing")
    for parameter in operation.parameters:
        if parameter.location == "header" and parameter.name.lower() in OWN_HEADERS:
            said.at("operationId").problem(f"the header {parameter.name!r} of the operation is set by the engine")
    if operation.secured and policy is None:
        said.problem(
            "the operation wants an authentication", "give it one, or the cluster credentials", severity="warning"
        )
