"""A gateway with a route for each of several workflows, and what tests ask of it about executions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import flow
from running import Answer, Gateway, until

Json = Any


def write(folder: Path, name: str, do: list[Json], functions: Json = None) -> None:
    """A workflow ``test/NAME``."""
    flow.write(folder, do, functions, name)


def doors(names: Sequence[str], service: int, limits: Json = None, more: Sequence[str] = ()) -> str:
    """``/NAME`` for each workflow; the cluster ``service``, and ``more`` of the same service."""
    endpoints = {"endpoints": [f"http://127.0.0.1:{service}"]}
    return json.dumps(
        {
            "listeners": {"door": {"bind": "127.0.0.1:0"}},
            "admin": {"bind": "127.0.0.1:0"},
            "workers": 1,
            "clusters": dict.fromkeys(("service", *more), endpoints),
            "routes": {
                name: {
                    "match": {"path": f"/{name}", "methods": ["POST"]},
                    "target": {"workflow": f"test/{name}", "input": "${ .body }", "wait": "20s"},
                }
                for name in names
            },
            "workflows": ["*.workflow.yaml"],
            "engine": {"limits": limits or {}},
        }
    )


def begin(running: Gateway, name: str, input: Json = None) -> str:
    """The id of an execution that has begun."""
    answer = running.request("POST", f"/{name}", input or {}, {"prefer": "respond-async"})
    assert answer.status == 202, answer.body
    found: str = answer.json["id"]
    return found


def shown(running: Gateway, id: str) -> Json:
    return running.admin(f"/executions/{id}").json


def waiting(running: Gateway, id: str, *kinds: str) -> list[Json]:
    """Its reasons, as soon as they are of these kinds."""

    def look() -> list[Json] | None:
        reasons: list[Json] = shown(running, id)["waiting"]
        return reasons if sorted(each["kind"] for each in reasons) == sorted(kinds) else None

    return until(look) or []


def ended(running: Gateway, id: str) -> Json:
    """What is shown of it once it has ended."""
    return until(lambda: (found := shown(running, id))["status"] in ("completed", "faulted", "cancelled") and found)


def order(running: Gateway, id: str, verb: str, **more: Json) -> Answer:
    return running.admin(f"/executions/{id}/{verb}", "POST", {"reason": "the test says so", "by": "ann", **more})


def send(running: Gateway, id: str, kind: str, data: Json) -> Answer:
    event = {"specversion": "1.0", "id": id, "source": "/test", "type": kind, "data": data}
    return running.admin("/events", "POST", event, {"content-type": "application/cloudevents+json"})


def metric(running: Gateway, name: str) -> float:
    [line] = [line for line in running.metrics().splitlines() if line.startswith(f"{name} ")]
    return float(line.rpartition(" ")[2])
