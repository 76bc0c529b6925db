"""Tables of options as the docs show them, made from the models."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from stagedoor.config.schema import options, schema

Json = dict[str, Any]
DOCS = Path(__file__).parent.parent / "docs"
MARK = re.compile(r"<!-- options of (\w+) -->\n(.*?)<!-- end -->", re.DOTALL)
BOUNDED = re.compile(r"<!-- options with bounds -->\n(.*?)<!-- end -->", re.DOTALL)
NO_BOUNDS = ("status", "priority", "on")
"""Options that are numbers and bound nothing."""
KINDS = {"object": "map", "array": "list", "string": "text", "integer": "number", "boolean": "true, false"}


def filled(page: str) -> str:
    """A page with every table between its marks made anew."""
    return MARK.sub(lambda mark: f"<!-- options of {mark[1]} -->\n{table(mark[1])}<!-- end -->", page)


def with_bounds(page: str) -> str:
    """A page with the table of every number, size and duration of the configuration made anew."""
    lines = ["| option | default | bounds |", "|---|---|---|"]
    models: Json = schema()["$defs"]
    for model, key, option in options():
        kinds = set(_kind(option).split(" or "))
        bounds = _bounds(option) or next(filter(None, map(_bounds, _choices(option))), "")
        if kinds & {"number", "size", "duration", "percentage"} and key not in NO_BOUNDS:
            required = key in models.get(model, schema()).get("required", ())
            place = _home(model) if model != "Settings" else "config.md#the-file"
            default = "required" if required else _default(option)
            lines.append(f"| [{model}]({place}) `{key}` | {default} | {bounds} |")
    text = "\n".join(lines)
    return BOUNDED.sub(lambda _: f"<!-- options with bounds -->\n{text}\n<!-- end -->", page)


def _choices(option: Json) -> list[Json]:
    choices: list[Json] = option.get("oneOf", option.get("anyOf", []))
    return choices


def properties(model: str) -> Json:
    return schema()["properties"] if model == "Settings" else schema()["$defs"][model].get("properties", {})


def table(model: str) -> str:
    part = schema() if model == "Settings" else schema()["$defs"][model]
    lines = ["| option | type | default | bounds | meaning |", "|---|---|---|---|---|"]
    for key, option in properties(model).items():
        default = "required" if key in part.get("required", ()) else _default(option)
        cells = (f"`{key}`", _kind(option), default, _bounds(option), _meaning(option))
        lines.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _model(option: Json) -> str | None:
    return option["$ref"].rpartition("/")[2] if "$ref" in option else None


def _page(model: str) -> str:
    """Policies and schemes have pages of their own; everything else has a heading on the page that shows it."""
    for name, option in properties("Policies").items():
        if f'/{model}"' in json.dumps(option):
            return f"policies/{name}.md"
    for name, option in properties("Scheme").items():
        if f'/{model}"' in json.dumps(option):
            return f"authenticate/{name}.md"
    return f"#{model.lower()}"


def _home(model: str) -> str:
    """The page with the model's table, from the folder of the docs."""
    for page in DOCS.rglob("*.md"):
        if f"<!-- options of {model} -->" in page.read_text():
            place = page.relative_to(DOCS).as_posix()
            return f"{place}#{model.lower()}" if place == "config.md" else place
    return f"config.md#{model.lower()}"


def _meaning(option: Json) -> str:
    model = _model(option)
    text = option.get("description") or (schema()["$defs"][model]["description"] if model else "")
    return re.sub(r"``(.*?)``", r"`\1`", " ".join(text.split()))


def _kind(option: Json) -> str:
    model = _model(option)
    if model:
        return f"[{model}]({_page(model)})"
    choices = _choices(option)
    if choices:
        return " or ".join(dict.fromkeys(_kind(choice) for choice in choices))
    if "enum" in option or "const" in option:
        words = option.get("enum") or [option["const"]]
        return ", ".join(f"`{json.dumps(word) if isinstance(word, bool) else word}`" for word in words)
    if "x-unit" in option:
        return str(option["x-unit"]).partition(",")[0].removeprefix("a ")
    if "type" not in option:
        return "any"
    if option["type"] == "array":
        return f"list of {_kind(option['items'])}"
    if "additionalProperties" in option:
        return f"map of {_kind(option['additionalProperties'])}"
    return KINDS[option["type"]]


def _default(option: Json) -> str:
    if "default" in option:
        value = option["default"]
        return f"`{value if isinstance(value, str) and value else json.dumps(value, ensure_ascii=False)}`"
    return "its own defaults" if _model(option) else "left out"


def _bounds(option: Json) -> str:
    low, high = option.get("x-least", option.get("minimum")), option.get("x-most", option.get("maximum"))
    if low is not None and high is not None:
        return f"{low}–{high}"
    for least, most, unit in (
        ("minItems", "maxItems", "entries"),
        ("minProperties", "maxProperties", "entries"),
        ("minLength", "maxLength", "characters"),
    ):
        if most in option or least in option:
            return f"{option.get(least, 0)}–{option.get(most, '')} {unit}"
    return ""
