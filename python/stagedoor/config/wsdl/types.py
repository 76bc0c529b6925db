"""Types of XML Schema as one flat table: what is inherited or referred to stands where it is used."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from stagedoor.config.node import Place
from stagedoor.config.wsdl.schema import XS, Context, Declared, Schemas
from stagedoor.config.wsdl.xml import Element, Name, Wrong

Json = dict[str, Any]
MAX_TYPES = 20_000
"""Of one operation."""
SOAP_ENCODING = ("http://schemas.xmlsoap.org/soap/encoding/", "http://www.w3.org/2003/05/soap-encoding")
_TEXT = (
    "string normalizedString token language Name NCName NMTOKEN ID IDREF ENTITY anyURI QName NOTATION "
    "gYear gYearMonth gMonth gMonthDay gDay duration dayTimeDuration yearMonthDuration dateTimeStamp anySimpleType "
    "anyAtomicType untypedAtomic"
)
BUILT_IN = {
    **dict.fromkeys(_TEXT.split(), "text"),
    "string": "string",
    "normalizedString": "string",
    "boolean": "boolean",
    "decimal": "decimal",
    "float": "float",
    "double": "float",
    "integer": "integer",
    "long": "long",
    "int": "int",
    "short": "short",
    "byte": "byte",
    "nonNegativeInteger": "non_negative",
    "positiveInteger": "positive",
    "nonPositiveInteger": "non_positive",
    "negativeInteger": "negative",
    "unsignedLong": "unsigned_long",
    "unsignedInt": "unsigned_int",
    "unsignedShort": "unsigned_short",
    "unsignedByte": "unsigned_byte",
    "date": "date",
    "dateTime": "date_time",
    "time": "time",
    "base64Binary": "base64",
    "hexBinary": "hex",
    "duration": "duration",
}
_LISTS = {"NMTOKENS": "NMTOKEN", "IDREFS": "IDREF", "ENTITIES": "ENTITY"}


@dataclass(slots=True)
class Types:
    schemas: Schemas
    place: Place
    """Of the operation that uses them."""
    table: list[Json] = field(default_factory=list)
    known: dict[Any, int] = field(default_factory=dict)
    unsettled: set[int] = field(default_factory=set)
    """Places of types that are being written."""
    groups: set[int] = field(default_factory=set)
    """Groups that are being written out: one that holds itself has no end."""

    def element(self, declared: Declared) -> Json:
        """One declared at the top of a schema."""
        return self._element(declared.node, declared.context, top=True)

    def named(self, name: Name, user: Element) -> int:
        """The place of a type in the table."""
        if name[0] == XS:
            return self._built_in(name[1], user)
        if name[0] in SOAP_ENCODING:
            raise Wrong(user.place, "types of the SOAP encoding are not supported", "use literal messages")
        if name in self.known:
            return self.known[name]
        declared = self.schemas.find("type", name, user)
        return self._type(declared.node, declared.context, name)

    def wrapper(self, members: list[tuple[str, int]]) -> int:
        """The type of an element that stands for a call (``rpc``): its parts have no namespace."""
        terms = [{"min": 1, "max": 1, "term": {"element": _member(name, "", kind)}} for name, kind in members]
        content = {"elements": {"min": 1, "max": 1, "term": {"sequence": terms}}}
        return self._add(None, {"complex": _complex(None, content)})

    def _add(self, key: Any, kind: Json) -> int:
        if len(self.table) >= MAX_TYPES:
            raise Wrong(self.place, f"its messages have more than {MAX_TYPES:,} types")
        self.table.append(kind)
        if key is not None:
            self.known[key] = len(self.table) - 1
        return len(self.table) - 1

    def _built_in(self, local: str, user: Element) -> int:
        key = (XS, local)
        if key not in self.known:
            if local == "anyType":
                return self._add(key, {"any": {}})
            if local in _LISTS:
                return self._add(key, {"list": {"item": self._built_in(_LISTS[local], user)}})
            if local not in BUILT_IN:
                raise Wrong(user.place, f"XML Schema has no type '{local}'")
            return self._add(key, _simple(BUILT_IN[local]))
        return self.known[key]

    def _type(self, node: Element, context: Context, name: Name | None) -> int:
        # Its place first: it may hold itself.
        place = self._add(name if name is not None else id(node), {})
        self.unsettled.add(place)
        if node.name[1] == "simpleType":
            self.table[place] = self._simple_type(node, context)
            self.unsettled.discard(place)
            return place
        self.table[place] = {"complex": _complex(name, "empty")}
        kind = self._complex_type(node, context, name)
        self.table[place] = {"complex": kind}
        self.unsettled.discard(place)
        if name is not None:
            kind["derived"] = self._derivatives(name, node)
        return place

    def _derivatives(self, base: Name, node: Element) -> list[int]:
        """All that may stand in its place, those of its own derivatives too."""
        found: list[int] = []
        names = list(self.schemas.derived.get(base, ()))
        for name in names:
            place = self.named(name, node)
            if place not in found:
                found.append(place)
                names += [each for each in self.schemas.derived.get(name, ()) if each not in names]
        return found

    def _of(self, node: Element, context: Context, attribute: str = "type") -> int | None:
        """The type of an element or attribute, named or within."""
        name = node.qualified(attribute)
        if name is not None:
            return self.named(name, node)
        inner = node.first(XS, "complexType", "simpleType")
        if inner is None:
            return None
        return self.known[id(inner)] if id(inner) in self.known else self._type(inner, context, None)

    def _simple_type(self, node: Element, context: Context) -> Json:
        way = node.first(XS, "restriction", "list", "union")
        if way is None:
            raise Wrong(node.place, "a simple type is a restriction, a list or a union")
        if way.name[1] == "list":
            item = self._of(way, context, "itemType")
            return {"list": {"item": self._built_in("string", way) if item is None else item}}
        if way.name[1] == "union":
            names = [way.resolve(each) for each in (way.get("memberTypes") or "").split()]
            members = [self.named(each, way) for each in names]
            members += [self._type(each, context, None) for each in way.all(XS, "simpleType")]
            return {"union": {"members": members}}
        base = self._of(way, context, "base")
        if base is None:
            raise Wrong(way.place, "a restriction needs a base")
        return self._restricted(way, base)

    def _restricted(self, way: Element, base: int) -> Json:
        kind = self.table[base]
        if base in self.unsettled:
            raise Wrong(way.place, "the type is derived from itself")
        words = [each.get("value") or "" for each in way.all(XS, "enumeration")]
        if "simple" in kind and words:
            return {"simple": {"kind": kind["simple"]["kind"], "words": words}}
        return dict(kind)

    def _complex_type(self, node: Element, context: Context, name: Name | None) -> Json:
        content = node.first(XS, "complexContent", "simpleContent")
        if content is None:
            kind = _complex(name, self._content(node, context))
            kind["attributes"] = self._attributes(node, context, kind)
        else:
            way = content.first(XS, "extension", "restriction")
            base = None if way is None else way.qualified("base")
            if way is None or base is None:
                raise Wrong(content.place, "its content is an extension or a restriction of a base")
            kind = self._derived(way, context, base, name)
            if content.get("mixed") == "true":
                kind["mixed"] = True
        kind["abstract"] = node.get("abstract") in ("true", "1")
        kind["mixed"] = kind["mixed"] or node.get("mixed") in ("true", "1")
        kind["attributes"] = [each for each in kind["attributes"] if not each.pop("prohibited", False)]
        return kind

    def _derived(self, way: Element, context: Context, base: Name, name: Name | None) -> Json:
        if base in [(each, "Array") for each in SOAP_ENCODING]:
            raise Wrong(way.place, "arrays of the SOAP encoding are not supported", "use literal messages")
        place = self.named(base, way)
        kind = _complex(name, "empty")
        if "complex" not in self.table[place]:
            # A simple type with attributes, or anyType.
            simple = self._restricted(way, place) if way.name[1] == "restriction" else None
            if "any" in self.table[place]:
                kind["content"] = self._content(way, context)
            else:
                kind["content"] = {"text": place if simple is None else self._add(None, simple)}
            kind["attributes"] = self._attributes(way, context, kind)
            return kind
        parent = self._whole(base, way) if place in self.unsettled else self.table[place]["complex"]
        kind["any_attribute"], kind["mixed"] = parent["any_attribute"], parent["mixed"]
        own = self._content(way, context)
        if way.name[1] == "restriction":
            kind["content"] = parent["content"] if own == "empty" and "text" in parent["content"] else own
            inner = way.first(XS, "simpleType")
            if "text" in parent["content"] and (inner is not None or way.first(XS, "enumeration") is not None):
                of = parent["content"]["text"] if inner is None else self._type(inner, context, None)
                kind["content"] = {"text": self._add(None, self._restricted(way, of))}
        elif own == "empty" or parent["content"] == "empty":
            kind["content"] = parent["content"] if own == "empty" else own
        else:
            both = [parent["content"]["elements"], own["elements"]]
            kind["content"] = {"elements": {"min": 1, "max": 1, "term": {"sequence": both}}}
        attributes = {(each["namespace"], each["name"]): each for each in parent["attributes"]}
        for each in self._attributes(way, context, kind):
            attributes[(each["namespace"], each["name"])] = each
        kind["attributes"] = [dict(each) for each in attributes.values()]
        return kind

    def _whole(self, base: Name, way: Element) -> Json:
        """A base that is still being written has no content yet: it is written for this one alone."""
        declared = self.schemas.find("type", base, way)
        if id(declared.node) in self.groups:
            raise Wrong(way.place, f"the type '{base[1]}' is derived from itself")
        self.groups.add(id(declared.node))
        inner = self._complex_type(declared.node, declared.context, base)
        self.groups.discard(id(declared.node))
        return inner

    def _content(self, node: Element, context: Context) -> Any:
        group = node.first(XS, "sequence", "choice", "all", "group")
        return "empty" if group is None else {"elements": self._particle(group, context)}

    def _particle(self, node: Element, context: Context) -> Json:
        least, most = node.get("minOccurs"), node.get("maxOccurs")
        bounds: Json = {
            "min": int(least) if least is not None and least.isdecimal() else 1,
            "max": None if most == "unbounded" else int(most) if most is not None and most.isdecimal() else 1,
        }
        return bounds | {"term": self._term(node, context)}

    def _term(self, node: Element, context: Context) -> Any:
        match node.name[1]:
            case "element":
                return self._reference(node, context)
            case "any":
                return "any"
            case "group":
                name = node.qualified("ref")
                if name is None:
                    raise Wrong(node.place, "a group within a type needs a 'ref'")
                declared = self.schemas.find("group", name, node)
                if id(declared.node) in self.groups:
                    raise Wrong(node.place, f"the group '{name[1]}' holds itself")
                self.groups.add(id(declared.node))
                inner = declared.node.first(XS, "sequence", "choice", "all")
                empty: Json = {"sequence": []}
                term = empty if inner is None else {"sequence": [self._particle(inner, declared.context)]}
                self.groups.discard(id(declared.node))
                return term
            case kind:
                inside = node.all(XS, "element", "any", "group", "sequence", "choice", "all")
                return {kind: [self._particle(each, context) for each in inside]}

    def _reference(self, node: Element, context: Context) -> Json:
        name = node.qualified("ref")
        if name is None:
            return {"element": self._element(node, context, top=False)}
        head = self.schemas.find("element", name, node)
        members = [head, *self._substitutes(name)]
        members = [each for each in members if each.node.get("abstract") not in ("true", "1")]
        terms: list[Json] = [{"element": self._element(each.node, each.context, top=True)} for each in members]
        if len(terms) == 1:
            return terms[0]
        return {"choice": [{"min": 1, "max": 1, "term": term} for term in terms]}

    def _substitutes(self, head: Name) -> list[Declared]:
        found: list[Declared] = []
        waiting = [head]
        while waiting:
            for each in self.schemas.substitutes.get(waiting.pop(), ()):
                if each not in found:
                    found.append(each)
                    waiting.append((each.context.namespace, each.node.get("name") or ""))
        return found

    def _element(self, node: Element, context: Context, top: bool) -> Json:
        local = node.get("name")
        if local is None:
            raise Wrong(node.place, "an element needs a 'name' or a 'ref'")
        form = node.get("form")
        qualified = top or (form == "qualified" if form is not None else context.elements_qualified)
        kind = self._of(node, context)
        if kind is None:
            head = node.qualified("substitutionGroup")
            declared = None if head is None else self.schemas.find("element", head, node)
            kind = self._built_in("anyType", node) if declared is None else self._of(declared.node, declared.context)
        member = _member(local, context.namespace if qualified else "", kind or 0)
        return member | {"nillable": node.get("nillable") in ("true", "1"), "fixed": node.get("fixed")}

    def _attributes(self, node: Element, context: Context, kind: Json) -> list[Json]:
        found: list[Json] = []
        for child in node.all(XS, "attribute", "attributeGroup", "anyAttribute"):
            if child.name[1] == "anyAttribute":
                kind["any_attribute"] = True
            elif child.name[1] == "attributeGroup":
                name = child.qualified("ref")
                if name is None:
                    raise Wrong(child.place, "a group of attributes within a type needs a 'ref'")
                declared = self.schemas.find("attributeGroup", name, child)
                found += self._attributes(declared.node, declared.context, kind)
            else:
                found.append(self._attribute(child, context))
        return found

    def _attribute(self, node: Element, context: Context) -> Json:
        name, of, top = node.qualified("ref"), node, False
        if name is not None and name[0] != "http://www.w3.org/XML/1998/namespace":
            declared = self.schemas.find("attribute", name, node)
            of, context, top = declared.node, declared.context, True
        local = name[1] if name is not None else node.get("name")
        if local is None:
            raise Wrong(node.place, "an attribute needs a 'name' or a 'ref'")
        form = of.get("form")
        qualified = top or (form == "qualified" if form is not None else context.attributes_qualified)
        namespace = name[0] if name is not None else context.namespace if qualified else ""
        kind = self._of(of, context)
        return {
            "name": local,
            "namespace": namespace,
            "type": self._built_in("string", node) if kind is None else kind,
            "required": node.get("use") == "required",
            "fixed": node.get("fixed") or of.get("fixed"),
            "prohibited": node.get("use") == "prohibited",
        }


def _member(name: str, namespace: str, kind: int) -> Json:
    return {"name": name, "namespace": namespace, "type": kind, "nillable": False, "fixed": None}


def _simple(kind: str) -> Json:
    return {"simple": {"kind": kind, "words": []}}


def _complex(name: Name | None, content: Any) -> Json:
    return {
        "name": None if name is None else {"namespace": name[0], "local": name[1]},
        "abstract": False,
        "attributes": [],
        "any_attribute": False,
        "content": content,
        "mixed": False,
        "derived": [],
    }
