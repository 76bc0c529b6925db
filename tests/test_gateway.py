"""Start, reload and drain of a gateway process."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import threading
from collections.abc import Callable
from pathlib import Path

from flow import call, config, write
from running import Answer, Gateway, until
from service import Service

Start = Callable[..., Gateway]


def test_a_gateway_without_workflows_needs_no_store(gateway: Start, service: Service, tmp_path: Path) -> None:
    running = gateway(
        f"""
listeners: {{door: {{bind: "127.0.0.1:0"}}}}
admin: {{bind: "127.0.0.1:0"}}
clusters: {{service: {{endpoints: ["{service.url}"]}}}}
routes: {{all: {{match: {{path: "/{{rest...}}"}}, target: {{cluster: service}}}}}}
"""
    )
    assert running.request("GET", "/x").json == {"path": "/x", "number": 1}
    assert running.admin("/executions").status == 404
    assert not list(tmp_path.glob("*.db*"))
    assert running.end() == 0


def test_what_cannot_start_says_why_and_exits_with_1(gateway: Start, service: Service, tmp_path: Path) -> None:
    write(tmp_path, [{"only": call("/a")}])
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"
        running = gateway(config(service.port).replace('admin: {bind: "127.0.0.1:0"}', f'admin: {{bind: "{address}"}}'))
        assert running.process.wait(30) == 1
        assert f"the admin endpoint cannot be bound to {address}" in running.log
        assert "Traceback" not in running.log


def test_sighup_applies_a_new_configuration(gateway: Start, service: Service, tmp_path: Path) -> None:
    write(tmp_path, [{"only": call("/a")}])
    running = gateway(config(service.port))
    assert running.request("GET", "/new/x").status == 404
    text = config(service.port).replace(
        "workflows:", '  new: {match: {path: "/new/{rest...}"}, target: {cluster: service}}\nworkflows:'
    )
    write(tmp_path, [{"only": call("/changed")}])
    (tmp_path / "stagedoor.yaml").write_text(text)
    running.signal(signal.SIGHUP)
    until(lambda: running.request("GET", "/new/x").status == 200)
    assert until(lambda: running.request("POST", "/flow", {})).json["path"] == "/changed"


def test_a_changed_file_is_noticed(gateway: Start, service: Service, tmp_path: Path) -> None:
    write(tmp_path, [{"only": call("/a")}])
    running = gateway(config(service.port))
    write(tmp_path, [{"only": call("/b")}])
    until(lambda: running.request("POST", "/flow", {}).json["path"] == "/b")


def test_a_wrong_configuration_leaves_the_old_one_serving_and_every_error_in_the_log(
    gateway: Start, service: Service, tmp_path: Path
) -> None:
    write(tmp_path, [{"only": call("/a")}])
    running = gateway(config(service.port))
    wrong = config(service.port).replace("/flow", "flow-without-slash").replace("workers: 1", "workers: none")
    (tmp_path / "stagedoor.yaml").write_text(wrong)
    running.signal(signal.SIGHUP)
    until(lambda: "the old one keeps serving" in running.log)
    assert "flow-without-slash" in running.log
    assert "workers" in running.log
    assert running.request("POST", "/flow", {}).status == 200


def test_reloads_under_load_fail_no_request(gateway: Start, service: Service, tmp_path: Path) -> None:
    write(tmp_path, [{"only": call("/a")}])
    running = gateway(config(service.port))
    end, statuses = threading.Event(), []

    def load(path: str, method: str) -> None:
        while not end.is_set():
            statuses.append(running.request(method, path, None if method == "GET" else {}).status)

    threads = [threading.Thread(target=load, args=each) for each in [("/direct/x", "GET"), ("/flow", "POST")] * 2]
    for thread in threads:
        thread.start()
    for number in range(1, 21):
        write(tmp_path, [{"only": call(f"/a{number}")}])
        running.signal(signal.SIGHUP)
        until(lambda number=number: running.log.count("configuration applied") >= number)
    end.set()
    for thread in threads:
        thread.join()
    assert set(statuses) == {200}
    assert running.request("POST", "/flow", {}).json["path"] == "/a20"


def test_a_drain_finishes_what_has_begun(gateway: Start, service: Service, tmp_path: Path) -> None:
    write(tmp_path, [{"first": call("/hang")}, {"second": call("/b")}])
    running = gateway(config(service.port))
    answers: list[Answer] = []
    clients = [
        threading.Thread(target=lambda each=each: answers.append(running.request(*each)))
        for each in [("POST", "/flow", {}), ("GET", "/direct/hang")]
    ]
    for client in clients:
        client.start()
    service.await_request("/hang", 2)
    running.signal(signal.SIGTERM)
    until(lambda: "draining" in running.log)
    assert running.admin("/readyz").json["reason"] == "draining"
    service.release()
    for client in clients:
        client.join()
    assert running.process.wait(30) == 0
    assert [answer.status for answer in answers] == [200, 200]


def test_a_drain_has_a_bound_and_a_second_signal_ends_at_once(gateway: Start, service: Service, tmp_path: Path) -> None:
    write(tmp_path, [{"first": call("/hang")}])
    running = gateway(config(service.port), drain="300ms")
    threading.Thread(target=lambda: _ignoring(running), daemon=True).start()
    service.await_request("/hang")
    running.signal(signal.SIGTERM)
    assert running.process.wait(30) == 1
    assert "the time to drain ran out" in running.log

    running = gateway(drain="10m")
    service.await_request("/hang", 2)
    threading.Thread(target=lambda: _ignoring(running), daemon=True).start()
    service.await_request("/hang", 3)
    running.signal(signal.SIGTERM)
    until(lambda: running.log.count("draining") == 2)
    running.signal(signal.SIGTERM)
    assert running.process.wait(30) == 1


def _ignoring(running: Gateway) -> None:
    with contextlib.suppress(OSError):
        running.request("POST", "/flow", {})


def test_logs_are_json_where_that_is_asked_for(gateway: Start, service: Service, tmp_path: Path) -> None:
    write(tmp_path, [{"only": call("/a")}])
    running = gateway(config(service.port, extra="telemetry: {logs: {format: json}}"))
    running.end()
    lines = [json.loads(line) for line in running.log.splitlines() if line.startswith("{")]
    assert {"serving", "draining", "ended"} <= {line["message"] for line in lines}
    assert all({"time", "level", "logger"} <= line.keys() for line in lines)
