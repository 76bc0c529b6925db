"""The parts of a request that several kinds of calls have: where it goes, header fields and query parameters."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stagedoor.workflow import authentication as authentications
from stagedoor.workflow import endpoint as endpoints
from stagedoor.workflow.authentication import Policy
from stagedoor.workflow.endpoint import Endpoint, scalar
from stagedoor.workflow.expression import Template
from stagedoor.workflow.place import kind
from stagedoor.workflow.secret import Deferred, late

if TYPE_CHECKING:
    from stagedoor.workflow.compiler import Compiler, Within
    from stagedoor.workflow.frame import Frame
    from stagedoor.workflow.place import Place

Json = Any

OWN_HEADERS = frozenset(
    {
        "connection",
        "content-length",
        "host",
        "idempotency-key",
        "te",
        "traceparent",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Set by the engine or by the protocol, never by a document."""

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+\Z")
_VALUE = re.compile(r"[\t\x20-\x7e\x80-\U0010ffff]*\Z")


@dataclass(frozen=True, slots=True)
class Where:
    """An endpoint: a URI with variables, or an expression that yields one; and who calls there."""

    literal: Endpoint | None
    computed: Template | None
    authentication: Policy | None = None

    def uri(self, frame: Frame) -> str:
        """Raises ``ValueError`` with a sentence."""
        if self.literal is not None:
            return self.literal.expand(frame.input)
        assert self.computed is not None
        return endpoints.check(self.computed(frame, frame.input))


def where(place: Place, reference: str, compiler: Compiler, within: Within) -> Where:
    """``endpoint`` of a call, with its authentication where it is written out."""
    policy = None
    if isinstance(place.value, dict):
        place.keys({"uri", "authentication"}, common=False)
        if "authentication" in place.value:
            policy = authentications.compile(place.at("authentication"), compiler, within)
        if not place.mapping(required=("uri",)):
            return Where(None, None)
        place = place.at("uri")
    text = place.text()
    if text is None:
        return Where(None, None)
    if place.is_expression():
        compiler.computed.append(reference)
        return Where(None, compiler.template(place, within), policy)
    try:
        endpoint = endpoints.parse(text)
    except ValueError as error:
        place.problem(str(error))
        return Where(None, None)
    compiler.reaches(endpoint)
    return Where(endpoint, None, policy)


def fields(place: Place, compiler: Compiler, within: Within, what: str) -> Template:
    """Header fields or query parameters: an object, whose values may be over secrets, or an expression."""
    if not isinstance(place.value, dict):
        if not place.is_expression():
            place.problem(f"expected an object or an expression, found {kind(place.value)}")
        return compiler.template(place, within)
    for name, value in place.value.items():
        item = place.at(name)
        if not isinstance(value, str):
            hint = None if scalar(value) is None else "put it in quotes"
            item.problem(f"expected text, found {kind(value)}", hint)
        elif what == "header":
            try:
                check_header(name, None if item.is_expression() else value)
            except ValueError as error:
                item.problem(str(error))
    return compiler.template(place, late(within.variables))


def strings(value: Json, what: str) -> dict[str, Any]:
    """Header fields or query parameters; null leaves one out, what is over secrets stays as it is. Raises
    ``ValueError`` with a sentence."""
    if not isinstance(value, dict):
        raise ValueError(f"the {what}s are not an object")
    texts: dict[str, Any] = {}
    for name, item in value.items():
        if item is None:
            continue
        if type(item) is Deferred:
            if what == "header":
                check_header(name)
            texts[name] = item
            continue
        text = scalar(item)
        if text is None:
            raise ValueError(f"{what} {name!r} is neither text nor a number")
        if what == "header":
            check_header(name, text)
        texts[name] = text
    return texts


def check_header(name: str, value: str | None = None) -> None:
    """Raises ``ValueError`` with a sentence."""
    if not _TOKEN.match(name):
        raise ValueError(f"{name!r} is not a header's name")
    if name.lower() in OWN_HEADERS:
        raise ValueError(f"header {name!r} is set by the engine")
    if value is not None and not _VALUE.match(value):
        raise ValueError(f"the value of header {name!r} contains a control character")
