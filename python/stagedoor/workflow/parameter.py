"""Parameters of an OpenAPI operation as text: the styles of OpenAPI 3.1 §4.8.12, which are those of RFC 6570."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

from stagedoor.workflow.endpoint import scalar
from stagedoor.workflow.openapi import Parameter

Json = Any

_RESERVED = ":/?#[]@!$&'()*+,;="
_BETWEEN = {"form": ",", "spaceDelimited": "%20", "tabDelimited": "%09", "pipeDelimited": "%7C"}


def in_path(parameter: Parameter, value: Json) -> str:
    """Raises ``ValueError`` with a sentence; so do the others."""
    name = parameter.name
    prefix, between = {"simple": ("", ","), "label": (".", "."), "matrix": (";", ";")}.get(parameter.style, ("", ","))
    if parameter.style != "simple" and not parameter.explode:
        between = ","
    if isinstance(value, list) and not parameter.json:
        items = [_escaped(name, item) for item in value]
        if parameter.style == "matrix":
            return "".join(_named(name, item) for item in items) if parameter.explode else _named(name, ",".join(items))
        return prefix + between.join(items)
    if isinstance(value, dict) and not parameter.json:
        pairs = [(quote(key, safe=""), _escaped(name, item)) for key, item in value.items()]
        if parameter.explode:
            return prefix + between.join(f"{key}={item}" for key, item in pairs)
        flat = ",".join(part for pair in pairs for part in pair)
        return _named(name, flat) if parameter.style == "matrix" else prefix + flat
    text = _escaped(name, json.dumps(value) if parameter.json else value)
    return _named(name, text) if parameter.style == "matrix" else prefix + text


def in_query(parameter: Parameter, value: Json) -> list[str]:
    """``name=value``, as often as it takes."""
    name = quote(parameter.name, safe="")
    safe = _RESERVED.replace("&", "").replace("#", "").replace("+", "") if parameter.reserved else ""
    if parameter.json:
        return [f"{name}={quote(json.dumps(value), safe=safe)}"]
    if isinstance(value, list):
        items = [_escaped(parameter.name, item, safe) for item in value]
        if parameter.explode:
            return [f"{name}={item}" for item in items]
        return [f"{name}={_BETWEEN.get(parameter.style, ',').join(items)}"] if items else []
    if isinstance(value, dict):
        pairs = [(quote(key, safe=""), _escaped(parameter.name, item, safe)) for key, item in value.items()]
        if parameter.style == "deepObject":
            return [f"{name}%5B{key}%5D={item}" for key, item in pairs]
        if parameter.explode:
            return [f"{key}={item}" for key, item in pairs]
        return [f"{name}={_BETWEEN.get(parameter.style, ',').join(part for pair in pairs for part in pair)}"]
    return [f"{name}={_escaped(parameter.name, value, safe)}"]


def in_header(parameter: Parameter, value: Json) -> str:
    name = parameter.name
    if parameter.json:
        return json.dumps(value)
    if isinstance(value, list):
        return ",".join(_text(name, item) for item in value)
    if isinstance(value, dict):
        between = "=" if parameter.explode else ","
        return ",".join(f"{key}{between}{_text(name, item)}" for key, item in value.items())
    return _text(name, value)


def in_cookie(parameter: Parameter, value: Json) -> str:
    return "; ".join(in_query(parameter, value))


def _named(name: str, text: str) -> str:
    """Of the style ``matrix``: what is empty has no ``=`` (RFC 6570 §3.2.7)."""
    return f";{name}={text}" if text else f";{name}"


def _text(name: str, value: Json) -> str:
    text = scalar(value)
    if text is None:
        raise ValueError(f"a part of the parameter {name!r} is neither text nor a number")
    return text


def _escaped(name: str, value: Json, safe: str = "") -> str:
    return quote(_text(name, value), safe=safe)
