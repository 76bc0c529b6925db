"""Timeouts and schemas through the front door."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flow import call, config, undo, write
from running import Gateway, until
from service import Service

Start = Callable[..., Gateway]


def test_a_task_that_takes_too_long_is_a_timeout_also_across_a_restart(
    gateway: Start, service: Service, tmp_path: Path
) -> None:
    write(tmp_path, [{"slow": {"timeout": {"after": "PT1.5S"}, "do": [{"a": call("/a")}, {"b": {"wait": "PT1H"}}]}}])
    running = gateway(config(service.port))
    location = running.request("POST", "/flow", {}, {"prefer": "respond-async"}).headers["location"]
    until(lambda: running.request("GET", location).json["status"] == "waiting")
    running.kill()
    running = gateway()
    status = until(lambda: (found := running.request("GET", location).json)["status"] == "faulted" and found)
    assert status["error"]["type"].endswith("/errors/timeout")
    assert (status["error"]["status"], status["error"]["instance"]) == (408, "/do/0/slow")


def test_a_call_that_is_too_slow_is_waited_for_and_undone(gateway: Start, service: Service, tmp_path: Path) -> None:
    task = {**call("/hang", undo="undo"), "timeout": {"after": {"milliseconds": 300}}}
    write(tmp_path, [{"slow": task}], {"undo": undo("/undo")})
    running = gateway(config(service.port, wait="0s"))
    location = running.request("POST", "/flow", {}).headers["location"]
    service.await_request("/hang")
    id = location.rpartition("/")[2]
    until(lambda: any(each["outcome"] == "unknown" for each in running.admin(f"/executions/{id}").json["timeline"]))
    assert service.to("/undo") == []
    service.release()
    status = until(lambda: (found := running.request("GET", location).json)["status"] == "faulted" and found)
    assert status["error"]["compensation"]["status"] == "complete"
    assert len(service.to("/undo")) == 1


def test_an_input_that_does_not_fit_its_schema_is_told_without_the_value(
    gateway: Start, service: Service, tmp_path: Path
) -> None:
    document: dict[str, Any] = {
        "document": {"dsl": "1.0.3", "namespace": "test", "name": "flow", "version": "1.0.0"},
        "input": {"schema": {"document": {"properties": {"n": {"type": "integer"}}}}},
        "do": [{"a": {"set": "${ .n + 1 }"}}],
    }
    (tmp_path / "flow.workflow.yaml").write_text(json.dumps(document))
    running = gateway(config(service.port))
    assert running.request("POST", "/flow", {"n": 1}).json == 2
    refused = running.request("POST", "/flow", {"n": "hush"})
    assert refused.status == 400
    assert refused.json["detail"] == "/n must be of the type integer"
    assert b"hush" not in refused.body


def test_a_suspended_execution_goes_on_when_it_is_resumed_also_across_a_restart(
    gateway: Start, service: Service, tmp_path: Path
) -> None:
    write(tmp_path, [{"first": call("/hang")}, {"second": call("/b")}])
    running = gateway(config(service.port))
    location = running.request("POST", "/flow", {}, {"prefer": "respond-async"}).headers["location"]
    service.await_request("/hang")
    path = f"/executions/{location.rpartition('/')[2]}"
    words = {"reason": "look first", "by": "ann"}
    assert running.admin(f"{path}/resume", "POST", words).status == 409
    assert running.admin(f"{path}/suspend", "POST", words).status == 202
    until(lambda: running.request("GET", location).json["status"] == "suspended")
    running.kill()
    service.release()
    running = gateway()
    until(lambda: len(service.to("/hang")) == 2)
    until(lambda: [each["text"] for each in running.admin(path).json["waiting"]] == ["ann suspended it: look first"])
    assert service.to("/b") == []
    assert running.admin(f"{path}/resume", "POST", words).status == 202
    until(lambda: running.request("GET", location).json["status"] == "completed")
