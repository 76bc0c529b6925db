"""OpenAPI 3.0, 3.1 and Swagger 2.0: one operation of a description, found by its id and understood."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

from stagedoor.workflow.place import suggestion

Json = Any

METHODS = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
MAX_REFERENCES = 32
"""References that lead from one to the next."""
RELATIVE = "relative:"
"""Before the path of a server that is where its document comes from, when that is a file."""
FORM = "application/x-www-form-urlencoded"
_STYLES = {"path": "simple", "query": "form", "header": "simple", "cookie": "form"}
_ALLOWED = {
    "path": ("simple", "label", "matrix"),
    "query": ("form", "spaceDelimited", "pipeDelimited", "deepObject"),
    "header": ("simple",),
    "cookie": ("form",),
}
_COLLECTIONS = {
    "csv": "form",
    "ssv": "spaceDelimited",
    "tsv": "tabDelimited",
    "pipes": "pipeDelimited",
    "multi": "form",
}
_IGNORED = {"accept", "content-type", "authorization"}
"""Header parameters that say nothing (OpenAPI 3.1 §4.8.12.1)."""


class Misdescribed(ValueError):
    """The description does not say how the operation is called; a sentence."""

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


@dataclass(frozen=True, slots=True)
class Parameter:
    name: str
    location: str
    """path, query, header, cookie, or form for a field of a Swagger form."""
    required: bool
    style: str
    explode: bool
    json: bool = False
    """Its value goes as JSON text."""
    reserved: bool = False
    """Reserved characters of a query are not escaped."""


@dataclass(frozen=True, slots=True)
class Operation:
    method: str
    path: str
    server: str
    """An absolute URL, or a path behind ``RELATIVE``, without a slash at its end."""
    parameters: tuple[Parameter, ...]
    body: str | None
    """The name by which the body is given; None if it has none."""
    body_required: bool
    content_type: str | None
    accept: str | None
    """Where it is not JSON."""
    api_keys: tuple[tuple[str, str], ...]
    """Where an API key goes, as location and name, if the operation wants one."""
    secured: bool
    """It wants some authentication."""
    keyed: bool = False
    """It takes the key of a request that may come twice, which is no parameter here: every call has one."""


def operation(document: Json, identifier: str, base: str | None) -> Operation:
    """``base`` is the URL of the document, where it has one. Raises ``Misdescribed``."""
    if not isinstance(document, dict) or not isinstance(document.get("paths", {}), dict):
        raise Misdescribed("it is not an OpenAPI description")
    version = document.get("openapi", document.get("swagger"))
    if not isinstance(version, str) or not version.startswith(("3.0", "3.1", "2.0")):
        raise Misdescribed("it is neither OpenAPI 3.0, 3.1 nor Swagger 2.0")
    old = "swagger" in document
    found = {}
    for path, item in document.get("paths", {}).items():
        item = _followed(document, item)
        for method in METHODS:
            if isinstance(item.get(method), dict) and isinstance(item[method].get("operationId"), str):
                found[item[method]["operationId"]] = (path, item, method)
    if identifier not in found:
        near = suggestion(identifier, found)
        some = ", ".join(list(found)[:10])
        hint = f"did you mean {near!r}?" if near else f"there are: {some}" if found else "it names no operation"
        raise Misdescribed(f"there is no operation {identifier!r} in it", hint)
    path, item, method = found[identifier]
    if method == "trace":
        raise Misdescribed("TRACE is not called")
    said = item[method]
    reader = _swagger if old else _openapi
    return reader(document, path, item, method, said, base)


def _openapi(document: Json, path: str, item: Json, method: str, said: Json, base: str | None) -> Operation:
    parameters = tuple(_parameter(each) for each in _parameters(document, item, said))
    body = _followed(document, said.get("requestBody")) if "requestBody" in said else None
    content_type = None
    if body is not None:
        content_type = _content_type(list(body.get("content", {})))
    servers = said.get("servers") or item.get("servers") or document.get("servers") or [{"url": "/"}]
    answers = [
        kind
        for status, answer in said.get("responses", {}).items()
        if str(status).startswith("2") or status == "default"
        for kind in _followed(document, answer).get("content", {})
    ]
    schemes = document.get("components", {}).get("securitySchemes", {})
    return Operation(
        method.upper(),
        path,
        _server(servers[0], base),
        tuple(each for each in parameters if each is not None),
        None if body is None else "body",
        body is not None and body.get("required") is True,
        content_type,
        _accept(answers),
        *_security(document, said, schemes),
    )


def _swagger(document: Json, path: str, item: Json, method: str, said: Json, base: str | None) -> Operation:
    parameters, body, required, form = [], None, False, False
    for each in _parameters(document, item, said):
        location = each.get("in")
        if location == "body":
            body, required = str(each.get("name")), each.get("required") is True
        elif location == "formData":
            if each.get("type") == "file":
                raise Misdescribed("not supported: a form with files")
            form = True
            multi = each.get("collectionFormat") == "multi"
            parameters.append(Parameter(str(each.get("name")), "form", each.get("required") is True, "form", multi))
        elif location in _STYLES and not (location == "header" and str(each.get("name")).lower() in _IGNORED):
            collection = each.get("collectionFormat", "csv")
            style = _COLLECTIONS.get(collection, "form")
            if location in ("path", "header") and style == "form":
                style = "simple"
            name = str(each.get("name"))
            parameters.append(Parameter(name, location, each.get("required") is True, style, collection == "multi"))
    consumes = said.get("consumes") or document.get("consumes") or ["application/json"]
    content_type = _content_type(consumes) if body is not None else None
    if form:
        if FORM not in consumes and said.get("consumes"):
            raise Misdescribed("not supported: a form that is not application/x-www-form-urlencoded")
        content_type = FORM
    schemes = document.get("securityDefinitions", {})
    return Operation(
        method.upper(),
        path,
        _swagger_server(document, said, base),
        tuple(parameters),
        body,
        required,
        content_type,
        _accept(said.get("produces") or document.get("produces") or []),
        *_security(document, said, schemes),
    )


def _parameters(document: Json, item: Json, said: Json) -> Iterator[Json]:
    """Those of the operation, and those of its path that it does not replace."""
    merged: dict[tuple[Json, Json], Json] = {}
    for each in [*item.get("parameters", []), *said.get("parameters", [])]:
        each = _followed(document, each)
        merged[each.get("name"), each.get("in")] = each
    yield from merged.values()


def _parameter(said: Json) -> Parameter | None:
    location, name = said.get("in"), str(said.get("name"))
    if location not in _STYLES:
        raise Misdescribed(f"the parameter {name!r} is in no place that is known")
    if location == "header" and name.lower() in _IGNORED:
        return None
    style = said.get("style", _STYLES[location])
    if style not in _ALLOWED[location]:
        raise Misdescribed(f"the parameter {name!r} has no style of a {location}")
    explode = said.get("explode", style == "form")
    required = said.get("required") is True
    return Parameter(
        name, location, required, style, explode is True, "content" in said, said.get("allowReserved") is True
    )


def _followed(document: Json, value: Json) -> Json:
    """An object, or the one that a reference leads to."""
    for _ in range(MAX_REFERENCES):
        if not isinstance(value, dict):
            raise Misdescribed("something is no object that must be one")
        reference = value.get("$ref")
        if not isinstance(reference, str):
            return value
        if not reference.startswith("#/"):
            raise Misdescribed(
                f"the reference {reference!r} leads out of it", "keep all of it in files beside each other"
            )
        value = document
        for token in reference[2:].split("/"):
            token = unquote(token).replace("~1", "/").replace("~0", "~")
            if isinstance(value, list) and token.isdecimal() and int(token) < len(value):
                value = value[int(token)]
            elif isinstance(value, dict) and token in value:
                value = value[token]
            else:
                raise Misdescribed(f"the reference {reference!r} leads nowhere")
    raise Misdescribed("its references lead in a circle")


def _content_type(kinds: list[Json]) -> str:
    """JSON before a form before text before anything else."""
    names = [kind for kind in kinds if isinstance(kind, str)]

    def rank(kind: str) -> int:
        plain = kind.partition(";")[0].strip().lower()
        if plain in ("application/json", "*/*", "application/*") or plain.endswith("+json"):
            return 0
        return 1 if plain == FORM else 2 if plain.startswith("text/") else 9 if plain.startswith("multipart/") else 3

    best = min(names, key=rank, default="application/json")
    if rank(best) == 9:
        raise Misdescribed("not supported: a body in several parts")
    return "application/json" if "*" in best else best


def _accept(kinds: list[Json]) -> str | None:
    names = [kind for kind in kinds if isinstance(kind, str) and kind.isprintable()]
    if not names or any("json" in kind.lower() or "*" in kind for kind in names):
        return None
    return ", ".join(dict.fromkeys(names))


def _server(said: Json, base: str | None) -> str:
    url = said.get("url") if isinstance(said, dict) else None
    if not isinstance(url, str):
        raise Misdescribed("its server has no URL")
    for name, variable in said.get("variables", {}).items():
        default = variable.get("default") if isinstance(variable, dict) else None
        url = url.replace("{" + name + "}", str(default))
    if "{" in url:
        raise Misdescribed(f"the server {url!r} has a variable without a default")
    return _absolute(url, base)


def _swagger_server(document: Json, said: Json, base: str | None) -> str:
    own = urlsplit(base) if base else None
    schemes = said.get("schemes") or document.get("schemes") or ([own.scheme] if own else ["https"])
    scheme = next((each for each in ("https", "http") if each in schemes), None)
    host = document.get("host") or (own.netloc if own else None)
    if scheme is None:
        raise Misdescribed("its server is called neither by http nor by https")
    if not isinstance(host, str):
        return _absolute(str(document.get("basePath", "/")), None)
    return f"{scheme}://{host}{document.get('basePath', '')}".rstrip("/")


def _absolute(url: str, base: str | None) -> str:
    if urlsplit(url).scheme:
        return url.rstrip("/")
    if base is None:
        return f"{RELATIVE}/{url.strip('/')}".rstrip("/")
    return urljoin(base, url).rstrip("/")


def _security(document: Json, said: Json, schemes: Json) -> tuple[tuple[tuple[str, str], ...], bool]:
    wanted = said.get("security", document.get("security")) or []
    keys = []
    for requirement in wanted:
        for name in requirement:
            scheme = _followed(document, schemes[name]) if name in schemes else {}
            if scheme.get("type") == "apiKey":
                keys.append((str(scheme.get("in")), str(scheme.get("name"))))
    return tuple(keys), bool(wanted) and {} not in wanted
