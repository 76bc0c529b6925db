"""Arguments of undos and checks: what a function's endpoint needs and is not given."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from stagedoor.errors import Problem
from stagedoor.lint.step import steps
from stagedoor.workflow import endpoint as endpoints
from stagedoor.workflow.expression import wrapped
from stagedoor.workflow.place import suggestion

Json = Any
_KEY = re.compile(r'\s*(?:"(?P<quoted>[^"\\]*)"|\$?(?P<name>[A-Za-z_]\w*))\s*(?::|\Z)')


def arguments(document: Json) -> Iterator[Problem]:
    """As far as both are known: ``use`` names a call with variables in its endpoint, ``with`` is an object."""
    functions = (document.get("use") or {}).get("functions") or {}
    for step in steps(document["do"], ("do",)):
        for key in ("stagedoor/compensate", "stagedoor/check"):
            said = (step.task.get("metadata") or {}).get(key)
            if not isinstance(said, dict) or "with" not in said or "use" not in said:
                continue
            names, wanted = given(said["with"]), _wanted(functions.get(said["use"]))
            if names is None:
                continue
            for name in sorted(wanted - names):
                near = suggestion(name, names)
                hint = f"'{near}' is given" if near else f"add it to with: {{{name}: …}}"
                path = (*step.path, "metadata", key, "with")
                yield Problem(path, f"'{said['use']}' needs '{name}' for its endpoint", hint, "warning")


def _wanted(function: Json) -> set[str]:
    """What its endpoint takes from its input, where that is the arguments."""
    if not isinstance(function, dict) or function.get("call") != "http" or "input" in function:
        return set()
    endpoint = (function.get("with") or {}).get("endpoint")
    uri = endpoint.get("uri") if isinstance(endpoint, dict) else endpoint
    if not isinstance(uri, str) or wrapped(uri) is not None:
        return set()
    try:
        names = endpoints.parse(uri).parts[1::2]
    except ValueError:
        # That is an error of its own.
        return set()
    return {name.partition(".")[0] for name in names}


def given(value: Json) -> set[str] | None:
    """The names of an object that is written out, also in an expression; None: they are not known."""
    if isinstance(value, dict):
        return set(value)
    source = (wrapped(value) or "").strip() if isinstance(value, str) else ""
    if not source.startswith("{") or not source.endswith("}"):
        return None
    names: set[str] = set()
    for part in _parts(source[1:-1]):
        found = _KEY.match(part)
        if found is None:
            return None
        names.add(found["quoted"] if found["quoted"] is not None else found["name"])
    return names


def _parts(source: str) -> Iterator[str]:
    """What commas separate that are in no brackets and no text. Yields what matches no key where brackets do not."""
    depth, begun, text, escaped = 0, 0, False, False
    for index, char in enumerate(source):
        if text:
            text, escaped = char != '"' or escaped, char == "\\" and not escaped
        elif char == '"':
            text = True
        elif char in "{[(":
            depth += 1
        elif char in "}])":
            depth -= 1
            if depth < 0:
                # Not one object: something follows it.
                yield ""
                return
        elif char == "," and depth == 0:
            yield source[begun:index]
            begun = index + 1
    if source[begun:].strip():
        yield source[begun:]
