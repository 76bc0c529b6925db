"""The admin endpoint of a running gateway, and the commands that ask it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from flow import call, config, undo, write
from running import Gateway, until
from service import Service

Start = Callable[..., Gateway]


def stagedoor(*arguments: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "stagedoor", *arguments],
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_health_and_metrics(gateway: Start, service: Service, tmp_path: Path) -> None:
    write(tmp_path, [{"only": call("/a")}])
    running = gateway(config(service.port))
    assert running.admin("/healthz").json == {"status": "ok"}
    assert running.admin("/readyz").json == {"status": "ready"}
    running.request("POST", "/flow", {})
    until(lambda: 'stagedoor_executions_finished_total{status="completed"} 1' in running.metrics())
    assert "stagedoor_engine_calls_total 1" in running.metrics()
    until(lambda: "stagedoor_event_log_events_total 3" in running.metrics())
    assert "# TYPE stagedoor_event_log_commit_seconds histogram" in running.metrics()


def test_every_metric_is_documented(gateway: Start, service: Service, tmp_path: Path) -> None:
    write(tmp_path, [{"only": call("/a")}])
    running = gateway(config(service.port))
    names = {line.split()[2] for line in running.metrics().splitlines() if line.startswith("# TYPE")}
    docs = Path(__file__).parent.parent.parent / "docs"
    text = "\n".join(page.read_text() for page in docs.rglob("*.md"))
    assert not {name for name in names if name not in text}


def test_executions_are_listed_page_by_page_and_shown(gateway: Start, service: Service, tmp_path: Path) -> None:
    write(tmp_path, [{"only": call("/a")}])
    running = gateway(config(service.port))
    for number in range(5):
        assert running.request("POST", "/flow", {"number": number}).status == 200
    until(lambda: len(running.admin("/executions?status=completed").json["executions"]) == 5)
    first = running.admin("/executions?limit=3").json
    second = running.admin(f"/executions?limit=3&before={first['next']}").json
    ids = [each["id"] for each in first["executions"] + second["executions"]]
    assert ids == sorted(ids, reverse=True)
    assert len(set(ids)) == 5
    assert second["next"] is None
    assert running.admin("/executions?workflow=test/other").json == {"executions": [], "next": None}
    shown = running.admin(f"/executions/{ids[0]}").json
    assert shown["input"] == {"number": 4}
    assert shown["output"] == {"path": "/a", "number": 5}
    assert [(entry["name"], entry["outcome"]) for entry in shown["timeline"] if entry["kind"] == "call"] == [
        ("only", "completed")
    ]


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("GET", "/executions?limit=0", None, 400),
        ("GET", "/executions?status=odd", None, 400),
        ("GET", "/executions?colour=red", None, 400),
        ("GET", "/executions/nothing", None, 404),
        ("GET", "/nothing", None, 404),
        ("DELETE", "/executions", None, 405),
        ("POST", "/executions/nothing/cancel", {"reason": "r", "by": "b"}, 404),
        ("POST", "/executions/nothing/cancel", {"reason": "r"}, 400),
        ("POST", "/executions/nothing/incidents/x/y", {"action": "odd", "reason": "r", "by": "b"}, 400),
        ("POST", "/executions/nothing/incidents/x/y", {"action": "edit", "reason": "r", "by": "b"}, 400),
    ],
)
def test_a_wrong_request_gets_a_problem(
    gateway: Start, service: Service, tmp_path: Path, method: str, path: str, body: object, status: int
) -> None:
    write(tmp_path, [{"only": call("/a")}])
    answer = gateway(config(service.port)).admin(path, method, body)
    assert (answer.status, answer.json["status"]) == (status, status)
    assert answer.headers["content-type"].startswith("application/problem+json")


def test_with_a_token_only_health_is_open(gateway: Start, service: Service, tmp_path: Path) -> None:
    write(tmp_path, [{"only": call("/a")}])
    token = "a-token-of-the-admin"
    text = config(service.port).replace('admin: {bind: "127.0.0.1:0"}', f'admin: {{bind: "0.0.0.0:0", token: {token}}}')
    running = gateway(text)
    running.addresses["admin"] = running.addresses["admin"].replace("0.0.0.0", "127.0.0.1")
    assert running.admin("/readyz").status == 200
    for headers in ({}, {"authorization": "Bearer wrong"}, {"authorization": f"Basic {token}"}):
        refused = running.admin("/metrics", headers=headers)
        assert refused.status == 401
        assert refused.headers["www-authenticate"].startswith("Bearer")
    assert running.admin("/metrics", headers={"authorization": f"Bearer {token}"}).status == 200
    asked = stagedoor("executions", "list", "--admin", running.admin_url, folder=tmp_path)
    assert asked.returncode == 1
    assert "STAGEDOOR_ADMIN_TOKEN" in asked.stderr
    with_token = {"STAGEDOOR_ADMIN_TOKEN": token}
    assert stagedoor("executions", "list", "--admin", running.admin_url, folder=tmp_path, **with_token).returncode == 0


def failing(folder: Path, service: Service, gateway: Start) -> tuple[Gateway, str]:
    """An execution whose undo keeps failing, and its id."""
    retry = {"delay": {"milliseconds": 1}, "limit": {"attempt": {"count": 2}}}
    task = call("/a")
    task["metadata"] = {"stagedoor/compensate": {"use": "undoA", "retry": retry}}
    write(folder, [{"first": task}, {"second": call("/status/402")}], {"undoA": undo("/fail/3/undo")})
    running = gateway(config(service.port))
    location = running.request("POST", "/flow", {}, {"prefer": "respond-async"}).headers["location"]
    until(lambda: running.request("GET", location).json["status"] == "suspended")
    return running, location.rpartition("/")[2]


def test_an_incident_waits_for_an_operator_and_goes_on_by_the_word(
    gateway: Start, service: Service, tmp_path: Path
) -> None:
    running, id = failing(tmp_path, service, gateway)
    running.kill()
    running = gateway()
    [incident] = running.admin(f"/executions/{id}").json["incidents"]
    assert incident["resolved"] is None
    path = f"/executions/{id}/incidents/{incident['id'].replace('#', '%23')}"
    said = {"action": "retry", "reason": "it is back", "by": "ada"}
    assert running.admin(path, "POST", said).status == 202
    until(lambda: running.admin(f"/executions/{id}").json["status"] == "faulted")
    shown = running.admin(f"/executions/{id}").json
    assert shown["error"]["status"] == 402
    assert shown["error"]["compensation"]["status"] == "complete"
    assert shown["incidents"][0]["resolved"]["by"] == "ada"
    assert running.admin(path, "POST", said).status == 409


def test_a_cancelled_execution_is_undone(gateway: Start, service: Service, tmp_path: Path) -> None:
    write(
        tmp_path,
        [{"first": call("/a", undo="undoA")}, {"pause": {"wait": {"minutes": 10}}}],
        {"undoA": undo("/undo")},
    )
    running = gateway(config(service.port))
    location = running.request("POST", "/flow", {}, {"prefer": "respond-async"}).headers["location"]
    id = location.rpartition("/")[2]
    until(lambda: running.request("GET", location).json["status"] == "waiting")
    assert running.admin(f"/executions/{id}/cancel", "POST", {"reason": "not needed", "by": "ada"}).status == 202
    until(lambda: running.request("GET", location).json["status"] == "cancelled")
    assert len(service.to("/undo")) == 1
    assert running.admin(f"/executions/{id}/cancel", "POST", {"reason": "again", "by": "ada"}).status == 409


def test_the_commands_show_people_what_happened(gateway: Start, service: Service, tmp_path: Path) -> None:
    running, id = failing(tmp_path, service, gateway)
    admin = ("--admin", running.admin_url)
    listed = stagedoor("executions", "list", *admin, folder=tmp_path)
    assert listed.returncode == 0, listed.stderr
    assert id in listed.stdout
    assert "suspended" in listed.stdout
    assert json.loads(stagedoor("executions", "list", "--json", *admin, folder=tmp_path).stdout)["executions"]
    shown = stagedoor("executions", "show", id, *admin, folder=tmp_path)
    assert shown.returncode == 0, shown.stderr
    for word in ("first", "second", "failed", "undoes /do/0/first", "incident", "402"):
        assert word in shown.stdout, shown.stdout
    assert json.loads(stagedoor("executions", "show", id, "--json", *admin, folder=tmp_path).stdout)["id"] == id
    nothing = stagedoor("executions", "show", "nothing", *admin, folder=tmp_path)
    assert (nothing.returncode, nothing.stdout) == (1, "")
    assert "there is no such execution" in nothing.stderr
    running.kill()
    down = stagedoor("executions", "list", *admin, folder=tmp_path)
    assert down.returncode == 1
    assert "no answer from the admin endpoint" in down.stderr
    assert "Traceback" not in down.stderr
