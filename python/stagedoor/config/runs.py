"""What workflow documents run: other workflows must be there, and processes must be allowed."""

from __future__ import annotations

from collections.abc import Iterator

from stagedoor.config.node import Node, Scalar, find, scalars
from stagedoor.config.problem import Path, did_you_mean, listed
from stagedoor.config.run import Run
from stagedoor.config.workflows import Workflows

Found = Iterator[tuple[Path, str, str | None]]
LANGUAGES = {"js": "js", "javascript": "js", "python": "python"}
"""As documents name them."""


def workflows_run(node: Node, workflows: Workflows) -> Found:
    """Workflows that a document runs."""
    for path, scalar in scalars(node):
        if path[-3:] != ("run", "workflow", "name") or workflows.unreadable:
            continue
        _, namespace = find(node, (*path[:-1], "namespace"))
        _, version = find(node, (*path[:-1], "version"))
        if not isinstance(namespace, Scalar) or not isinstance(version, Scalar):
            continue
        name = f"{namespace.value}/{scalar.value}"
        other = workflows.nodes.get(name)
        if other is None:
            hint = did_you_mean(name, workflows.nodes) or f"there are: {listed(list(workflows.nodes))}"
            yield path, f"there is no workflow '{name}'", hint
            continue
        _, found = find(other, ("document", "version"))
        if isinstance(found, Scalar) and version.value not in ("latest", found.value):
            hint = f"write '{found.value}' or latest"
            yield (*path[:-1], "version"), f"the version of '{name}' is {found.value}", hint


def processes_run(node: Node, run: Run) -> Found:
    """Scripts and shell commands of a document that the operator does not allow."""
    _, namespace = find(node, ("document", "namespace"))
    _, name = find(node, ("document", "name"))
    if not isinstance(namespace, Scalar) or not isinstance(name, Scalar):
        return
    workflow, allowed = f"{namespace.value}/{name.value}", run.allowed()
    for path, scalar in scalars(node):
        if path[-3:] == ("run", "shell", "command"):
            language, option = "shell", "shell"
        elif path[-3:] == ("run", "script", "language"):
            language, option = LANGUAGES.get(str(scalar.value), ""), "script"
        else:
            continue
        found = allowed.get(language)
        if language and found is None:
            more = "" if language == "shell" else f" with {language}: and the path of its interpreter"
            yield path[:-1], f"{option} is not allowed here", f"set engine.run.{option}{more}"
        elif found is not None and workflow not in found[1].workflows:
            yield path[:-1], f"{option} is not allowed for '{workflow}'", f"add it to engine.run.{option}.workflows"
