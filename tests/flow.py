"""Configurations and workflow documents of the tests around the engine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

Json = Any


def config(service: int, *, wait: str = "20s", extra: str = "") -> str:
    """A gateway with every workflow document in its folder, each at ``/NAME``; keys ``web`` and ``app`` are known."""
    return f"""
listeners: {{door: {{bind: "127.0.0.1:0"}}}}
admin: {{bind: "127.0.0.1:0"}}
workers: 1
consumers:
  web: {{api_keys: [key-of-web-0123456789]}}
  app: {{api_keys: [key-of-app-0123456789]}}
clusters: {{service: {{endpoints: ["http://127.0.0.1:{service}"]}}}}
routes:
  flow:
    match: {{path: /flow, methods: [POST]}}
    target: {{workflow: test/flow, input: "${{ .body }}", wait: {wait}}}
  mine:
    match: {{path: /mine, methods: [POST]}}
    policies: {{authenticate: {{any: [api_key]}}}}
    target: {{workflow: test/flow, input: "${{ .body }}", wait: {wait}}}
  direct:
    match: {{path: "/direct/{{rest...}}"}}
    target: {{cluster: service, path: "/{{rest}}"}}
workflows: ["*.workflow.yaml"]
{extra}
"""


def write(
    folder: Path, do: list[Json], functions: dict[str, Json] | None = None, name: str = "flow", **head: Json
) -> None:
    """A workflow ``test/NAME``, with more in its ``document``. JSON is YAML."""
    document: dict[str, Json] = {
        "document": {"dsl": "1.0.3", "namespace": "test", "name": name, "version": "1.0.0", **head},
        "do": do,
    }
    if functions:
        document["use"] = {"functions": functions}
    (folder / f"{name}.workflow.yaml").write_text(json.dumps(document))


def call(path: str, *, undo: str | None = None, **more: Json) -> Json:
    """A POST to the service, undone by a function."""
    task: Json = {
        "call": "http",
        "with": {"method": "post", "endpoint": f"cluster://service{path}", "body": "${ . }", **more},
    }
    if undo is not None:
        task["metadata"] = {"stagedoor/compensate": {"use": undo}}
    return task


def undo(path: str) -> Json:
    return {"call": "http", "with": {"method": "delete", "endpoint": f"cluster://service{path}"}}
