"""Executions that wait for points in time alone are out of memory, and go on as if they had been there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from flow import call, config, undo, write
from running import Gateway, until
from service import Service

Start = Callable[..., Gateway]
HOUR = {"wait": {"hours": 1}}
WORDS = {"reason": "look first", "by": "ann"}


def begun(running: Gateway, body: Any = None) -> str:
    """Its location."""
    return running.request("POST", "/flow", body or {}, {"prefer": "respond-async"}).headers["location"]


def status(running: Gateway, location: str) -> str:
    return str(running.request("GET", location).json["status"])


def parked(running: Gateway, count: int) -> bool:
    return f"stagedoor_executions_parked {count}\n" in running.metrics()


def test_what_waits_is_parked_and_woken_by_whatever_happens_to_it(
    gateway: Start, service: Service, tmp_path: Path
) -> None:
    write(tmp_path, [{"first": call("/a", undo="undo")}, {"rest": HOUR}], {"undo": undo("/undo")})
    running = gateway(config(service.port))
    cancelled, suspended, left = (begun(running) for _ in range(3))
    until(lambda: parked(running, 3))
    assert {status(running, each) for each in (cancelled, suspended, left)} == {"waiting"}
    path = f"/executions/{cancelled.rpartition('/')[2]}"
    assert "waits until" in running.admin(path).json["waiting"][0]["text"]
    assert running.admin(f"{path}/cancel", "POST", WORDS).status == 202
    until(lambda: status(running, cancelled) == "cancelled")
    assert len(service.to("/undo")) == 1
    path = f"/executions/{suspended.rpartition('/')[2]}"
    assert running.admin(f"{path}/suspend", "POST", WORDS).status == 202
    until(lambda: status(running, suspended) == "suspended")
    assert parked(running, 1)
    # What was written of it while it was parked no longer counts, though nobody had the time to delete it.
    running.kill()
    running = gateway()
    assert parked(running, 1)
    assert (status(running, left), status(running, suspended)) == ("waiting", "suspended")
    assert running.admin(f"{path}/resume", "POST", WORDS).status == 202
    until(lambda: status(running, suspended) == "waiting")
    assert len(service.to("/a")) == 3


def test_what_waits_when_the_gateway_ends_is_parked_and_its_time_comes_all_the_same(
    gateway: Start, service: Service, tmp_path: Path
) -> None:
    rest = {"wait": "${ {milliseconds: .milliseconds} }"}
    write(tmp_path, [{"rest": rest}, {"then": call("/b")}], name="child")
    child = {"run": {"workflow": {"namespace": "test", "name": "child", "version": "1.0.0", "input": "${ . }"}}}
    write(tmp_path, [{"other": child}, {"last": call("/c")}])
    running = gateway(config(service.port))
    long = begun(running, {"milliseconds": 3_600_000})
    until(lambda: 'open{status="waiting"} 2\n' in running.metrics())
    short = begun(running, {"milliseconds": 2000})
    assert running.end() == 0
    running = gateway()
    until(lambda: status(running, short) == "completed")
    assert parked(running, 1), "the child; its parent waits for it and for no time"
    assert status(running, long) == "waiting"
    assert [len(service.to(path)) for path in ("/b", "/c")] == [1, 1]
