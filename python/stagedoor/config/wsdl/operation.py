"""A WSDL 1.1, and one of its operations as the data plane needs it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from stagedoor.config.node import Place
from stagedoor.config.problem import did_you_mean, listed
from stagedoor.config.wsdl.schema import XS, Schemas, located
from stagedoor.config.wsdl.types import Types
from stagedoor.config.wsdl.xml import Element, Name, Wrong

Json = dict[str, Any]
WSDL = "http://schemas.xmlsoap.org/wsdl/"
SOAP = {"1.1": "http://schemas.xmlsoap.org/wsdl/soap/", "1.2": "http://schemas.xmlsoap.org/wsdl/soap12/"}
_HTTP = ("http://schemas.xmlsoap.org/soap/http", "http://www.w3.org/2003/05/soap/bindings/HTTP/")
_MIME = "http://schemas.xmlsoap.org/wsdl/mime/"
Version = Literal["1.1", "1.2"]


@dataclass(frozen=True, slots=True)
class Reference:
    """Which operation of which file. What is left out must be clear without it."""

    wsdl: str
    operation: str | None
    service: str | None
    port: str | None
    version: Version | None


@dataclass(frozen=True, slots=True)
class _Port:
    service: str
    name: str
    version: str
    address: str | None
    binding: Element
    target: str


@dataclass(slots=True)
class Description:
    """All that a WSDL and the files it imports declare."""

    load: Callable[[Path, Place], Element | None]
    root: Element
    schemas: Schemas = field(init=False)
    declared: dict[tuple[str, Name], Element] = field(default_factory=dict)
    targets: dict[int, str] = field(default_factory=dict)
    """Of each declared element, the namespace of its document."""
    seen: set[Path] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.schemas = Schemas(self.load)
        self._add(self.root)

    def operation(self, reference: Reference, places: Mapping[str, Place]) -> tuple[Json, str]:
        """What the data plane needs of it, and the path of its address. ``places``: of the options that name it; a
        ``wsdl`` is always there."""
        port = self._port(reference, places)
        place = places.get("operation", places["wsdl"])
        style = port.binding.first(SOAP[port.version], "binding")
        found = {each.get("name") or "": each for each in port.binding.all(WSDL, "operation")}
        if reference.operation is None and len(found) != 1:
            raise Wrong(place, "needs an 'operation'", f"there are: {listed(found)}")
        name = reference.operation or next(iter(found))
        bound = found.get(name)
        if bound is None:
            hint = did_you_mean(name, found) or f"there are: {listed(found)}"
            raise Wrong(place, f"'{port.name}' has no operation '{name}'", hint)
        of_binding = "document" if style is None else style.get("style") or "document"
        about = bound.first(SOAP[port.version], "operation")
        is_rpc = (about.get("style") if about is not None and about.get("style") else of_binding) == "rpc"
        abstract = self._abstract(port, name, bound)
        types = Types(self.schemas, bound.place)
        given, told = abstract.first(WSDL, "input"), abstract.first(WSDL, "output")
        if given is None:
            raise Wrong(abstract.place, "it has no input: the service begins the exchange")
        compiled = {
            "name": name,
            "version": port.version,
            "action": (about.get("soapAction") if about is not None else None) or "",
            "input": self._body(types, port, bound, "input", given, name if is_rpc else None),
            "output": None
            if told is None
            else self._body(types, port, bound, "output", told, f"{name}Response" if is_rpc else None),
            "faults": [each for each in map(partial(self._fault, types), abstract.all(WSDL, "fault")) if each],
            "types": types.table,
        }
        return compiled, urlsplit(port.address or "").path or "/"

    def _add(self, root: Element) -> None:
        if root.name != (WSDL, "definitions"):
            what = "a WSDL 2.0 description" if root.name[1] == "description" else f"'{root.name[1]}'"
            raise Wrong(root.place, f"expected the definitions of a WSDL 1.1, found {what}")
        path = root.place.source.path
        if path in self.seen:
            return
        self.seen.add(path)
        target = root.get("targetNamespace") or ""
        for child in root.all(WSDL, "import"):
            location = child.get("location")
            imported = None if location is None else self.load(located(location, child), child.place)
            if imported is not None and imported.name == (XS, "schema"):
                self.schemas.add(imported)
            elif imported is not None:
                self._add(imported)
        for types in root.all(WSDL, "types"):
            for schema in types.all(XS, "schema"):
                self.schemas.add(schema)
        for child in root.all(WSDL, "message", "portType", "binding", "service"):
            self.declared.setdefault((child.name[1], (target, child.get("name") or "")), child)
            self.targets[id(child)] = target

    def _find(self, kind: str, name: Name | None, user: Element) -> Element:
        found = None if name is None else self.declared.get((kind, name))
        if found is None:
            known = [known[1] for (of, known) in self.declared if of == kind]
            wanted = "" if name is None else name[1]
            raise Wrong(user.place, f"there is no {kind} '{wanted}'", did_you_mean(wanted, known))
        return found

    def _port(self, reference: Reference, places: Mapping[str, Place]) -> _Port:
        place = places["wsdl"]
        ports = [port for (kind, _), node in self.declared.items() if kind == "service" for port in self._ports(node)]
        if not ports:
            raise Wrong(place, f"'{reference.wsdl}' has no port that is bound to SOAP over HTTP")
        for option, attribute in (("service", "service"), ("port", "name"), ("version", "version")):
            wanted = getattr(reference, option)
            if wanted is not None:
                names = list(dict.fromkeys(getattr(port, attribute) for port in ports))
                ports = [port for port in ports if getattr(port, attribute) == wanted]
                if not ports:
                    hint = did_you_mean(wanted, names) or f"there are: {listed(names)}"
                    raise Wrong(places.get(option, place), f"there is no {option} '{wanted}'", hint)
        if len({port.service for port in ports}) > 1:
            names = list(dict.fromkeys(port.service for port in ports))
            raise Wrong(place, "needs a 'service'", f"there are: {listed(names)}")
        # Of two that differ by version alone, the newer SOAP.
        return max(ports, key=lambda port: (port.version, -ports.index(port)))

    def _ports(self, service: Element) -> list[_Port]:
        found = []
        for port in service.all(WSDL, "port"):
            binding = self._find("binding", port.qualified("binding"), port)
            for version, namespace in SOAP.items():
                bound = binding.first(namespace, "binding")
                if bound is not None and (bound.get("transport") or _HTTP[0]) in _HTTP:
                    address = port.first(namespace, "address")
                    location = None if address is None else address.get("location")
                    names = service.get("name") or "", port.get("name") or ""
                    found.append(_Port(*names, version, location, binding, self.targets[id(binding)]))
        return found

    def _abstract(self, port: _Port, name: str, bound: Element) -> Element:
        kind = self._find("portType", port.binding.qualified("type"), port.binding)
        found = [each for each in kind.all(WSDL, "operation") if each.get("name") == name]
        if not found:
            raise Wrong(bound.place, f"the portType '{kind.get('name')}' has no operation '{name}'")
        if len(found) > 1:
            raise Wrong(found[1].place, f"the operation '{name}' is there twice: which is meant is not clear")
        return found[0]

    def _body(
        self, types: Types, port: _Port, bound: Element, way: str, abstract: Element, call: str | None
    ) -> Json | None:
        """The one element of a message's body; None where it is empty. ``call``: its name, of ``rpc``."""
        concrete = bound.first(WSDL, way)
        mime = None if concrete is None else concrete.first(_MIME, "multipartRelated")
        if mime is not None:
            raise Wrong(mime.place, "attachments (MIME, MTOM) are not supported")
        body = None if concrete is None else concrete.first(SOAP[port.version], "body")
        if body is not None and body.get("use") == "encoded":
            raise Wrong(body.place, "encoded messages (rpc/encoded) are not supported", "the WS-I profile forbids them")
        message = self._find("message", abstract.qualified("message"), abstract)
        parts = list(message.all(WSDL, "part"))
        wanted = None if body is None else body.get("parts")
        if wanted is not None:
            parts = [part for part in parts if part.get("name") in wanted.split()]
        elif concrete is not None:
            # What goes into the header is not in the body.
            headers = {each.get("part") for each in concrete.all(SOAP[port.version], "header")}
            if call is None and len(parts) > 1:
                parts = [part for part in parts if part.get("name") not in headers]
        if call is not None:
            namespace = (body.get("namespace") if body is not None else None) or port.target
            members = [(part.get("name") or "", self._part_type(types, part)) for part in parts]
            return _root(call, namespace, types.wrapper(members))
        if not parts:
            return None
        if len(parts) > 1:
            raise Wrong(message.place, "a document has one part in its body, this message has several")
        element = parts[0].qualified("element")
        if element is None:
            raise Wrong(parts[0].place, "a part of a document names an 'element', this one a type")
        declared = types.element(self.schemas.find("element", element, parts[0]))
        return _root(declared["name"], declared["namespace"], declared["type"], declared["nillable"])

    def _part_type(self, types: Types, part: Element) -> int:
        name = part.qualified("type")
        if name is not None:
            return types.named(name, part)
        element = part.qualified("element")
        if element is None:
            raise Wrong(part.place, "a part names a 'type' or an 'element'")
        kind: int = types.element(self.schemas.find("element", element, part))["type"]
        return kind

    def _fault(self, types: Types, fault: Element) -> Json | None:
        message = self._find("message", fault.qualified("message"), fault)
        part = message.first(WSDL, "part")
        element = None if part is None else part.qualified("element")
        if part is None or element is None:
            return None
        declared = types.element(self.schemas.find("element", element, part))
        return _root(declared["name"], declared["namespace"], declared["type"], declared["nillable"])


def _root(name: str, namespace: str, kind: int, nillable: bool = False) -> Json:
    return {"name": name, "namespace": namespace, "type": kind, "nillable": nillable, "fixed": None}
