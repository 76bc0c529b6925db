"""Where a route ends, in a few words."""

from __future__ import annotations

from typing import Any

from stagedoor.policies.unit import Duration


def target_text(target: dict[str, Any]) -> str:
    """Of a target as the data plane describes it."""
    match target:
        case {"cluster": cluster, "path": path}:
            return f"cluster {cluster}" + (f" at {path}" if path else "")
        case {"aggregate": calls, "timeout_ms": timeout}:
            return f"aggregate of {', '.join(call['call'] for call in calls)}, within {Duration(timeout)}"
        case {"workflow": workflow, "wait_ms": wait}:
            return f"workflow {workflow}, wait {Duration(wait)}"
        case {"executions_of": route}:
            return f"executions of {route}"
        case {"events": _}:
            return "events of workflows"
        case {"response": status}:
            return f"response {status}"
    return ""


def plan(calls: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    """The calls of an aggregate as rows: which, when, and where it leads."""
    return [(call["call"], _when(call), f"{call['method']} {call['path']} of {call['cluster']}") for call in calls]


def _when(call: dict[str, Any]) -> str:
    parts = [f"after {', '.join(call['after'])}" if call["after"] else "at once"]
    if call["if"]:
        parts.append(f"if {call['if']}")
    if call["each"]:
        each = call["each"]
        parts.append(f"for each of {each['in']}, {each['parallel']} at once, at most {each['most']}")
    if call["optional"]:
        parts.append("optional")
    return ", ".join(parts)
