"""One line about what a task does."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

Json = Any
WIDEST = 48
"""Characters of a line."""


def _call(task: Json) -> str:
    called, given = task["call"], task.get("with") or {}
    if called == "http":
        endpoint = given.get("endpoint", "")
        uri = endpoint.get("uri", "") if isinstance(endpoint, dict) else endpoint
        return f"{str(given.get('method', '')).upper()} {uri}"
    if called == "openapi":
        return f"openapi {given.get('operationId', '')}"
    if called == "grpc":
        service = given.get("service") or {}
        return f"grpc {service.get('name', '')}/{given.get('method', '')}"
    if called == "mcp":
        method = given.get("method", "")
        tool = (given.get("parameters") or {}).get("name", "") if isinstance(given.get("parameters"), dict) else ""
        return f"mcp {method} {tool}"
    return str(called)


def _for(task: Json) -> str:
    loop = task["for"]
    while_ = f" while {task['while']}" if "while" in task else ""
    return f"{loop.get('each', 'item')} in {_text(loop['in'])}{while_}"


def _fork(task: Json) -> str:
    return "the first to finish wins" if task["fork"].get("compete") else "all at once"


def _try(task: Json) -> str:
    caught = task["catch"]
    errors = ((caught.get("errors") or {}).get("with")) or {}
    what = ", ".join(f"{key} {value}" for key, value in errors.items())
    return ("retries" if "retry" in caught else "catches") + (f" {what}" if what else " any error")


def _emit(task: Json) -> str:
    return str(((task["emit"].get("event") or {}).get("with") or {}).get("type", ""))


def _listen(task: Json) -> str:
    to = task["listen"]["to"]
    how = next((key for key in ("one", "any", "all") if key in to), "")
    said = to.get(how) or []
    filters = said if isinstance(said, list) else [said]
    types = [str((each.get("with") or {}).get("type", "")) for each in filters if isinstance(each, dict)]
    return f"{how} {', '.join(each for each in types if each)}".strip()


def _raise(task: Json) -> str:
    error = task["raise"]["error"]
    return (
        error if isinstance(error, str) else f"{error.get('status', '')} {error.get('title') or error.get('type', '')}"
    )


def _run(task: Json) -> str:
    what = task["run"]
    if "workflow" in what:
        inner = what["workflow"]
        return f"workflow {inner.get('namespace')}/{inner.get('name')} {inner.get('version', '')}"
    return next((key for key in ("container", "script", "shell") if key in what), "")


def _wait(task: Json) -> str:
    wait = task["wait"]
    return ", ".join(f"{amount} {unit}" for unit, amount in wait.items()) if isinstance(wait, dict) else _text(wait)


def _set(task: Json) -> str:
    value = task["set"]
    return ", ".join(value) if isinstance(value, dict) else _text(value)


def _nothing(task: Json) -> str:
    return ""


KINDS: dict[str, Callable[[Json], str]] = {
    "call": _call,
    "for": _for,
    "fork": _fork,
    "try": _try,
    "switch": _nothing,
    "emit": _emit,
    "listen": _listen,
    "raise": _raise,
    "run": _run,
    "set": _set,
    "wait": _wait,
    # Last: a loop has it beside its own key.
    "do": _nothing,
}
"""By the key that names the kind in a document, in the order in which they are looked for."""


def label(kind: str, task: Json) -> str:
    known = KINDS.get(kind)
    return short(known(task)) if known is not None else ""


def short(text: str, widest: int = WIDEST) -> str:
    line = " ".join(text.split())
    return line if len(line) <= widest else f"{line[: widest - 1]}…"


def _text(value: Json) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
