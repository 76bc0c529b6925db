"""What XML Schemas declare, by name: of a WSDL and of all files that it imports and includes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

from stagedoor.config.node import Place
from stagedoor.config.problem import did_you_mean
from stagedoor.config.wsdl.xml import Element, Name, Wrong

XS = "http://www.w3.org/2001/XMLSchema"
_KINDS = {
    "element": "element",
    "complexType": "type",
    "simpleType": "type",
    "attribute": "attribute",
    "group": "group",
    "attributeGroup": "attributeGroup",
}


@dataclass(frozen=True, slots=True, eq=False)
class Context:
    """What a schema document says of all that is declared in it."""

    namespace: str
    elements_qualified: bool
    attributes_qualified: bool


@dataclass(frozen=True, slots=True, eq=False)
class Declared:
    node: Element
    context: Context


@dataclass(slots=True)
class Schemas:
    """Everything that is declared at the top of a schema."""

    load: Callable[[Path, Place], Element | None]
    """A file's root; None where it cannot be had, which has been told."""
    declared: dict[tuple[str, Name], Declared] = field(default_factory=dict)
    substitutes: dict[Name, list[Declared]] = field(default_factory=dict)
    """By the head of their group."""
    derived: dict[Name, list[Name]] = field(default_factory=dict)
    """By their base."""
    seen: set[tuple[Path, str]] = field(default_factory=set)

    def add(self, schema: Element, namespace: str | None = None) -> None:
        """``namespace``: of the schema that includes one without a namespace of its own."""
        own = schema.get("targetNamespace")
        target = own if own is not None else namespace or ""
        if namespace is not None and own not in (None, namespace):
            raise Wrong(schema.place, f"it is included in the namespace '{namespace}' and has another, '{own}'")
        key = (schema.place.source.path, f"{target} {schema.place.line}:{schema.place.column}")
        if key in self.seen:
            return
        self.seen.add(key)
        context = Context(
            target,
            schema.get("elementFormDefault") == "qualified",
            schema.get("attributeFormDefault") == "qualified",
        )
        for child in schema.children:
            if child.name[0] != XS:
                continue
            match child.name[1]:
                case "include":
                    self._follow(child, schema, target)
                case "import":
                    if child.get("schemaLocation") is not None:
                        self._follow(child, schema, None)
                case "redefine" | "override":
                    raise Wrong(child.place, f"xs:{child.name[1]} is not supported", "write the types out")
                case kind if kind in _KINDS:
                    self._declare(_KINDS[kind], child, context)

    def find(self, kind: str, name: Name, user: Element) -> Declared:
        found = self.declared.get((kind, name))
        if found is None:
            word = {"attributeGroup": "group of attributes"}.get(kind, kind)
            of = f" in the namespace '{name[0]}'" if name[0] else ""
            raise Wrong(user.place, f"there is no {word} '{name[1]}'{of}", self._near(kind, name))
        return found

    def _near(self, kind: str, name: Name) -> str | None:
        elsewhere = [known[0] for (of, known) in self.declared if of == kind and known[1] == name[1]]
        if elsewhere:
            return f"there is one in '{elsewhere[0]}'"
        return did_you_mean(name[1], [known[1] for (of, known) in self.declared if of == kind and known[0] == name[0]])

    def _declare(self, kind: str, node: Element, context: Context) -> None:
        local = node.get("name")
        if local is None:
            raise Wrong(node.place, f"an xs:{node.name[1]} at the top of a schema needs a name")
        name = (context.namespace, local)
        declared = Declared(node, context)
        self.declared.setdefault((kind, name), declared)
        head = node.qualified("substitutionGroup") if kind == "element" else None
        if head is not None:
            self.substitutes.setdefault(head, []).append(declared)
        content = node.first(XS, "complexContent", "simpleContent")
        way = None if content is None else content.first(XS, "extension", "restriction")
        base = None if way is None else way.qualified("base")
        if kind == "type" and base is not None:
            self.derived.setdefault(base, []).append(name)

    def _follow(self, node: Element, schema: Element, namespace: str | None) -> None:
        location = node.get("schemaLocation") or ""
        path = located(location, node)
        root = self.load(path, node.place)
        if root is None:
            return
        if root.name != (XS, "schema"):
            raise Wrong(root.place, "it is not an xs:schema")
        if namespace is None and (root.get("targetNamespace") or "") != (node.get("namespace") or ""):
            raise Wrong(node.place, f"'{location}' is of the namespace '{root.get('targetNamespace') or ''}'")
        self.add(root, namespace)


def located(location: str, node: Element) -> Path:
    """The file beside the one that names it."""
    parts = urlsplit(location)
    if parts.scheme or parts.netloc or not parts.path:
        raise Wrong(node.place, f"'{location}' is an address: nothing is fetched", "keep a copy in a file")
    return (node.place.source.path.parent / unquote(parts.path)).resolve()
