"""Filters without an end, a size or a depth, wherever a gateway evaluates one, while it serves others."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from flow import write
from running import Gateway
from service import Service

FILTERS = {
    "steps": "last(repeat(1))",
    "output": "[range(1e12)]",
    "memory": 'reduce range(1000) as $i (("x" * 1000000); ("y" + .) | .[1:])',
    "depth": "def f: [f]; f",
}
ASKED = {
    ("input", "steps"): 500,
    ("answer", "memory"): 500,
    ("part", "depth"): 500,
    ("task", "depth"): 400,
    ("input", "output"): 500,
    ("task", "output"): 400,
}
"""Where a filter stands and which it is → the status that its client gets. Those that take long come first."""
MOST_MEMORY = 1 << 30
"""Of the whole process, in bytes: four evaluations of 256 MiB each would be that, if nothing were given back."""


def method(place: str) -> str:
    return "GET" if place == "part" else "POST"


def configuration(service: int) -> str:
    routes = {"direct": {"match": {"path": "/direct"}, "target": {"cluster": "service", "path": "/"}}}
    for place, name in ASKED:
        filled = f"${{ {FILTERS[name]} }}"
        targets = {
            "input": {"workflow": "test/plain", "input": filled},
            "task": {"workflow": f"test/{name}"},
            "answer": {"cluster": "service", "path": "/"},
            "part": {"aggregate": {"one": {"cluster": "service", "path": "/", "pick": FILTERS[name]}}},
        }
        policies = {"transform_response": {"body": filled}} if place == "answer" else {}
        match = {"path": f"/{place}/{name}", "methods": [method(place)]}
        routes[f"{place}-{name}"] = {"match": match, "policies": policies, "target": targets[place]}
    clusters = {"service": {"endpoints": [f"http://127.0.0.1:{service}"]}}
    listeners = {"door": {"bind": "127.0.0.1:0"}}
    parts = {
        "listeners": listeners,
        "admin": {"bind": "127.0.0.1:0"},
        "workers": 1,
        "clusters": clusters,
        "routes": routes,
    }
    return json.dumps({**parts, "workflows": ["*.workflow.yaml"]})


@pytest.fixture
def running(gateway: Callable[..., Gateway], service: Service, tmp_path: Path) -> Gateway:
    write(tmp_path, [{"keep": {"set": {"n": 1}}}], name="plain")
    for name, source in FILTERS.items():
        write(tmp_path, [{"task": {"set": {"n": f"${{ {source} }}"}}}], name=name)
    return gateway(configuration(service.port))


def test_each_fails_its_own_request_within_its_bounds_while_others_are_served(running: Gateway) -> None:
    with ThreadPoolExecutor(len(ASKED)) as clients:
        asked = {
            (place, name): clients.submit(running.request, method(place), f"/{place}/{name}") for place, name in ASKED
        }
        served = 0
        while not all(answer.done() for answer in asked.values()):
            assert running.request("GET", "/direct").status == 200
            served += 1
        answers = {key: answer.result() for key, answer in asked.items()}
    assert {key: answer.status for key, answer in answers.items()} == ASKED
    assert served > len(ASKED)
    status = Path(f"/proc/{running.process.pid}/status")
    if status.exists():
        [peak] = re.findall(r"^VmHWM:\s+(\d+) kB$", status.read_text(), flags=re.MULTILINE)
        assert int(peak) * 1024 < MOST_MEMORY
