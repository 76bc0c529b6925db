"""Where a route ends, in a few words."""

from __future__ import annotations

from typing import Any

from stagedoor.policies.unit import Duration


def target_text(target: dict[str, Any]) -> str:
    """Of a target as the data plane describes it."""
    match target:
        case {"cluster": cluster, "path": path}:
            return f"cluster {cluster}" + (f" at {path}" if path else "")
        case {"workflow": workflow, "wait_ms": wait}:
            return f"workflow {workflow}, wait {Duration(wait)}"
        case {"executions_of": route}:
            return f"executions of {route}"
        case {"response": status}:
            return f"response {status}"
    return ""
