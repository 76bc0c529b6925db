"""What workflows did that others ran is undone with them, through the front door."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest
from doors import begin, ended
from flow import call, config, undo, write
from running import Gateway, until
from service import Service
from stagedoor.cli import main
from stagedoor.engine import purge

Json = Any
Start = Callable[..., Gateway]


def runs(name: str, **more: Json) -> Json:
    return {"run": {"workflow": {"namespace": "test", "name": name, "version": "1.0.0"}, **more}}


def family(folder: Path, fails: Json) -> None:
    """A workflow that runs a child, which runs a child."""
    undos = {"undo": undo("/undo-grandchild")}
    write(folder, [{"deep": call("/grandchild", undo="undo")}], undos, name="grandchild")
    own = {"metadata": {"stagedoor/compensate": {"use": "undo", "retry": {"limit": {"attempt": {"count": 0}}}}}}
    child = [{"own": {**call("/child"), **own}}, {"run": runs("grandchild")}]
    write(folder, child, {"undo": undo("/undo-child")}, name="child")
    flow = [{"first": call("/first", undo="undo")}, {"run": runs("child")}, {"last": call("/last", undo="undo")}]
    write(folder, [*flow, {"fails": fails}], {"undo": undo("/undo")})


def only(running: Gateway, workflow: str) -> Json:
    found = running.admin(f"/executions?workflow={workflow}").json["executions"]
    assert len(found) < 2
    return found[0] if found else {"status": None, "ended": None}


def removable(folder: Path, ids: list[str]) -> int:
    """How many of them would leave the store now."""
    with contextlib.closing(sqlite3.connect(folder / "stagedoor.db")) as connection:
        return purge.remove(connection, ids)


ALL = ["/first", "/child", "/grandchild", "/last", "/status/409"]
UNDONE = ["/undo", "/undo-grandchild", "/undo-child", "/undo"]


def test_children_of_children_are_undone_in_their_place(gateway: Start, service: Service, tmp_path: Path) -> None:
    family(tmp_path, call("/status/409"))
    running = gateway(config(service.port))
    error = ended(running, begin(running, "flow"))["error"]
    assert [seen.path for seen in service.requests] == [*ALL, *UNDONE]
    assert error["status"] == 409
    report = error["compensation"]
    assert report["status"] == "complete"
    assert [entry["task"] for entry in report["entries"]] == ["/do/2/last", "/do/1/run", "/do/0/first"]
    below = report["entries"][1]["compensation"]["entries"]
    assert [(entry["task"], entry["status"]) for entry in below] == [
        ("/do/1/run", "compensated"),
        ("/do/0/own", "compensated"),
    ]
    for workflow in ("test/child", "test/grandchild"):
        assert only(running, workflow)["status"] == "cancelled"
    assert only(running, "test/child")["id"] == report["entries"][1]["execution"]


def test_a_child_s_incident_is_seen_and_decided_from_the_parent(
    gateway: Start, service: Service, tmp_path: Path, capsys: Any
) -> None:
    family(tmp_path, call("/status/409"))
    write(
        tmp_path,
        [
            {
                "own": {
                    **call("/child"),
                    "metadata": {"stagedoor/compensate": {"use": "undo", "retry": {"delay": "PT0S"}}},
                }
            }
        ],
        {"undo": undo("/fail/11/undo-child")},
        name="child",
    )
    running = gateway(config(service.port))
    id = begin(running, "flow")

    def suspended() -> Json:
        return running.admin(f"/executions/{id}").json["incidents"]

    [incident] = until(suspended)
    child = only(running, "test/child")["id"]
    assert (incident["execution"], incident["task"], incident["resolved"]) == (child, "/do/0/own", None)
    shown = running.admin(f"/executions/{id}").json
    assert shown["status"] == "waiting"
    [reason] = shown["waiting"]
    assert reason["text"] == f"what test/child did for /do/1/run is being undone (execution {child})"
    # A restart in between changes nothing.
    running.kill()
    running = gateway()
    words = ["--reason", "it is up again", "--by", "ann", "--admin", running.addresses["admin"]]
    assert main(["executions", "retry", id, *words]) == 0
    assert ended(running, id)["error"]["compensation"]["status"] == "complete"
    assert running.admin(f"/executions/{child}").json["status"] == "cancelled"
    assert [seen.path for seen in service.requests][-2:] == ["/fail/11/undo-child", "/undo"]


def test_a_cancelled_parent_undoes_its_child_and_one_that_nobody_awaits_is_on_its_own(
    gateway: Start, service: Service, tmp_path: Path
) -> None:
    family(tmp_path, {"wait": "PT1H"})
    write(tmp_path, [{"own": call("/alone", undo="undo")}], {"undo": undo("/undo-alone")}, name="alone")
    flow = [{"alone": runs("alone", **{"await": False})}, {"run": runs("child")}, {"w": {"wait": "PT1H"}}]
    write(tmp_path, flow)
    running = gateway(config(service.port))
    id = begin(running, "flow")
    until(lambda: only(running, "test/child")["ended"])
    until(lambda: only(running, "test/alone")["ended"])
    ids = [only(running, f"test/{name}")["id"] for name in ("alone", "child", "grandchild")]
    assert removable(tmp_path, ids) == 0, "what may yet be undone stays in the store"
    running.admin(f"/executions/{id}/cancel", "POST", {"reason": "enough", "by": "ann"})
    assert ended(running, id)["status"] == "cancelled"
    assert [seen.path for seen in service.requests if "undo" in seen.path] == ["/undo-grandchild", "/undo-child"]
    assert only(running, "test/alone")["status"] == "completed"
    until(lambda: removable(tmp_path, ids) == 3)


@pytest.mark.timeout(600)
def test_a_crash_after_every_event_of_the_undo_changes_nothing(
    gateway: Start, service: Service, tmp_path: Path
) -> None:
    family(tmp_path, call("/status/409"))
    # Up to where the parent has failed, and from there one event in each life.
    running = gateway(config(service.port), environment={"STAGEDOOR_CRASH_AFTER_EVENT": "20"})
    with contextlib.suppress(OSError, HTTPException):
        running.request("POST", "/flow", {}, {"idempotency-key": "same"})
    lives = 0
    while _crashed(running):
        lives += 1
        running = gateway(environment={"STAGEDOOR_CRASH_AFTER_EVENT": "1"})
    assert lives > 5
    answer = running.request("POST", "/flow", {}, {"idempotency-key": "same"})
    assert (answer.status, answer.json["compensation"]["status"]) == (409, "complete")
    done = list(dict.fromkeys((seen.method, seen.path, seen.key) for seen in service.requests))
    assert [path for _, path, _ in done] == [*ALL, *UNDONE], "each with one key"


def _crashed(running: Gateway) -> bool:
    """False: it has come to the end of all."""

    def over() -> bool:
        with contextlib.suppress(OSError, HTTPException, AssertionError):
            return bool(only(running, "test/flow")["status"] == "faulted")
        return False

    until(lambda: running.process.poll() is not None or over())
    return running.process.poll() is not None
