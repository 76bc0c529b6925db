"""Disks that fail, forget and fill up, files that are damaged, locked and moved: nothing acknowledged is lost, and all
goes on by itself when the cause is gone."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from disk import Disk, damage
from flow import call, config, write
from running import Gateway, until
from service import Service
from stagedoor.engine.event_log import Append, EventLog
from stagedoor.engine.store import StoreError
from test_event_log import appended, started

HERE = Path(__file__).parent
WEB = {"x-api-key": "key-of-web-0123456789"}
Json = Any
Start = Callable[..., Gateway]


class Writer:
    """power_cut.py in a process of its own."""

    def __init__(self, store: Path, disk: Disk) -> None:
        self.lines: list[str] = []
        self._process = subprocess.Popen(
            [sys.executable, str(HERE / "power_cut.py"), str(store)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | disk.environment,
        )
        threading.Thread(target=self._read, daemon=True).start()
        self.says("open")

    def _read(self) -> None:
        assert self._process.stdout is not None
        self.lines += (line.strip() for line in self._process.stdout)

    def ask(self, *lines: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.writelines(f"{line}\n" for line in lines)
        self._process.stdin.flush()

    def says(self, line: str) -> None:
        until(lambda: line in self.lines or self._process.poll())
        assert line in self.lines

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(30)


def kept(folder: Path) -> dict[str, int]:
    """What a gateway that starts on these files finds: executions, and how many events each has."""
    connection = sqlite3.connect(folder / "store.db")
    try:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return dict(connection.execute("SELECT execution, count(*) FROM event GROUP BY execution").fetchall())
    finally:
        connection.close()


@pytest.fixture
def disk(tmp_path: Path) -> Disk:
    return Disk(tmp_path / "files" / "store.db", tmp_path / "disk")


@pytest.fixture
def writer(tmp_path: Path, disk: Disk) -> Iterator[Callable[[], Writer]]:
    begun: list[Writer] = []

    def begin() -> Writer:
        begun.append(Writer(tmp_path / "files" / "store.db", disk))
        return begun[-1]

    yield begin
    for each in begun:
        each.kill()


def test_what_is_acknowledged_after_an_fsync_that_failed_survives_a_power_cut(
    disk: Disk, writer: Callable[[], Writer]
) -> None:
    first = writer()
    first.ask("start e1")
    first.says("start e1: yes")
    with disk.fault("sync-wal"):
        first.ask("event e1 1 9000", "start e2")
        first.says("start e2: no")
    first.says("event e1 1 9000: yes")
    # Enough for SQLite to carry it over into the file, which it does again and again while that fails.
    with disk.fault("sync-db"):
        for number in range(1, 21):
            first.ask(f"event e1 {number + 1} 1000000")
            first.says(f"event e1 {number + 1} 1000000: yes")
    first.ask("start e3")
    first.says("start e3: yes")
    first.kill()
    assert kept(disk.image) == {"e1": 22, "e3": 1}


def test_what_a_process_left_after_an_fsync_that_failed_is_no_hole_in_the_log_of_the_next(
    disk: Disk, writer: Callable[[], Writer]
) -> None:
    first = writer()
    first.ask("start e1")
    first.says("start e1: yes")
    with disk.fault("sync"):
        first.ask("event e1 1 9000", "start e2")
        first.says("start e2: no")
        first.kill()
    second = writer()
    second.ask("start e3")
    second.says("start e3: yes")
    second.kill()
    # The refused one may have been accepted: its commit failed after it was written.
    assert {"e1", "e3"} <= set(kept(disk.image))


@contextmanager
def locked(store: Path) -> Iterator[None]:
    """By somebody else's transaction."""
    connection = sqlite3.connect(store, isolation_level=None)
    connection.execute("BEGIN EXCLUSIVE")
    try:
        yield
    finally:
        connection.close()


@contextmanager
def moved(store: Path) -> Iterator[None]:
    away = store.rename(store.with_name("away.db"))
    try:
        yield
    finally:
        away.rename(store)


def refused(gateway: Gateway, body: Json = None, headers: dict[str, str] | None = None) -> None:
    answer = gateway.request("POST", "/mine", body, WEB | (headers or {}))
    assert (answer.status, answer.json["type"].rpartition("#")[2]) == (503, "engine-unavailable")
    assert int(answer.headers["retry-after"]) >= 1


def test_the_door_says_503_while_the_store_fails_and_all_goes_on_by_itself(
    gateway: Start, service: Service, tmp_path: Path
) -> None:
    store = tmp_path / "stagedoor.db"
    disk = Disk(store, tmp_path / "disk")
    write(tmp_path, [{"only": call("/hang")}])
    write(tmp_path, [{"only": {"wait": {"days": 1}}}], name="parked")
    route = "  parked: {match: {path: /parked, methods: [POST]}, target: {workflow: test/parked}}\n"
    running = gateway(config(service.port).replace("  mine:\n", route + "  mine:\n"), environment=disk.environment)
    parked = running.request("POST", "/parked", {}, {"prefer": "respond-async"}).json["id"]
    faults = {name: disk.fault(name) for name in ("write", "full", "sync")}
    faults |= {"locked": locked(store), "moved": moved(store)}
    places = []
    for name, fault in faults.items():
        service.hold()
        accepted = running.request("POST", "/mine", {"fault": name}, WEB | {"prefer": "respond-async"})
        assert accepted.status == 202, name
        places.append(accepted.headers["location"])
        service.await_request("/hang", 2 * len(places) - 1)
        with fault:
            service.release()
            until(lambda: running.admin("/readyz").status == 503)
            assert running.admin("/readyz").json["reason"] == "the store cannot be written"
            refused(running)
            # Where the file is moved, SQLite writes what comes before that is noticed.
            shown = running.request("GET", places[-1], headers=WEB).json["status"]
            assert shown == "running" or name == "moved", name
            event = {"specversion": "1.0", "id": name, "source": "test", "type": "any"}
            answer = running.admin("/events", "POST", event, {"content-type": "application/cloudevents+json"})
            assert (answer.status, answer.headers["retry-after"]) == (503, "1")
        until(lambda: running.admin("/readyz").status == 200)
        done = until(
            lambda: (it := running.request("GET", places[-1], headers=WEB)).json["status"] == "completed" and it
        )
        assert done.json["output"] == {"path": "/hang", "number": 2 * len(places) - 1}
        assert running.request("POST", "/mine", {}, WEB | {"idempotency-key": name}).status == 200

    until(lambda: "stagedoor_executions_parked 1\n" in running.metrics())
    cancel = (f"/executions/{parked}/cancel", "POST", {"reason": "not needed", "by": "test"})
    with disk.fault("read"):
        until(lambda: running.admin("/executions").status == 503)
        assert running.admin(*cancel).status == 503
        refused(running, {}, {"idempotency-key": "write"})
        assert running.request("GET", places[0], headers=WEB).status == 503
        listed = running.admin("/executions")
        assert (listed.status, listed.headers["retry-after"]) == (503, "1")
    assert running.request("GET", places[0], headers=WEB).json["status"] == "completed"

    assert running.admin(*cancel).status == 202, "what could not be read is not broken for that"
    until(lambda: running.admin(f"/executions/{parked}").json["status"] == "cancelled")

    for file in tmp_path.glob("stagedoor.db*"):
        file.unlink()
    until(lambda: running.admin("/readyz").status == 503)
    refused(running)
    assert "stagedoor.db was removed: put it back, or end the gateway, which then saves what was in it" in running.log
    assert running.end() == 0
    again = gateway()
    for place in places:
        assert again.request("GET", place, headers=WEB).json["status"] == "completed"
    assert again.request("POST", "/mine", {}, WEB | {"idempotency-key": "write"}).status == 200
    service.hold()
    assert again.request("POST", "/mine", {}, WEB | {"prefer": "respond-async"}).status == 202
    again.kill()
    damage(store, "event")
    refuses = gateway()
    assert refuses.process.wait(30) == 1
    assert "the file is damaged; end the gateway and put a backup in its place" in refuses.log
    assert "Traceback" not in refuses.log.rpartition("the store is written again")[2]


def test_an_operators_word_counts_as_soon_as_it_is_acknowledged(
    gateway: Start, service: Service, tmp_path: Path
) -> None:
    write(tmp_path, [{"only": {"wait": {"days": 1}}}])
    running = gateway(config(service.port))
    id = running.request("POST", "/flow", {}, {"prefer": "respond-async"}).json["id"]
    cancel = (f"/executions/{id}/cancel", "POST", {"reason": "not needed", "by": "test"})
    until(lambda: running.admin(f"/executions/{id}").json["status"] == "waiting")
    with locked(tmp_path / "stagedoor.db"):
        refused = running.admin(*cancel)
        assert (refused.status, refused.headers["retry-after"]) == (503, "1")
        running.kill()
    running = gateway()
    assert running.admin(f"/executions/{id}").json["status"] == "waiting"
    assert running.admin(*cancel).status == 202
    running.kill()
    running = gateway()
    until(lambda: running.admin(f"/executions/{id}").json["status"] == "cancelled")


def test_a_page_that_is_damaged_stops_what_is_written_until_it_is_right(tmp_path: Path) -> None:
    path = tmp_path / "store.db"

    async def main() -> None:
        loop = asyncio.get_running_loop()
        log = EventLog(path, loop)
        assert await appended(log, [started("e1")]) == [None]
        await log.close()
        log = EventLog(path, loop)
        repair = damage(path, "event")
        (error,) = await appended(log, [started("e2")])
        assert "the file is damaged; end the gateway and put a backup in its place" in str(error)
        kept_one = asyncio.ensure_future(appended(log, [Append("e1", 1, "TimerFired", 2.0, '{"timer":"t"}')]))
        with pytest.raises(StoreError, match=r"cannot be read: .*the file is damaged"):
            await log.history.ask(lambda: log.history.events("e1"))
        assert not kept_one.done()
        repair()
        assert await kept_one == [None]
        assert await log.history.ask(lambda: len(log.history.events("e1"))) == 2
        await log.close()

    asyncio.run(main())


@pytest.mark.parametrize("lost", ["-wal", "replaced"])
def test_what_was_in_files_without_a_name_is_saved_at_the_end(tmp_path: Path, lost: str) -> None:
    path = tmp_path / "store.db"

    async def main() -> None:
        log = EventLog(path, asyncio.get_running_loop())
        assert await appended(log, [started("e1"), Append("e1", 1, "TimerFired", 2.0, '{"timer":"t"}')]) == [None] * 2
        if lost == "replaced":
            other = tmp_path / "other.db"
            connection = sqlite3.connect(other)
            connection.execute("CREATE TABLE mine (x)")
            connection.close()
            other.rename(path)
        else:
            (tmp_path / "store.db-wal").unlink()
        await asyncio.to_thread(until, lambda: log.broken)
        (error,) = await appended(log, [started("e2")])
        assert "or end the gateway, which then saves what was in it" in str(error)
        await log.close()
        if lost == "replaced":
            connection = sqlite3.connect(path)
            assert connection.execute("SELECT name FROM sqlite_schema").fetchall() == [("mine",)]
            connection.close()
            (tmp_path / f"store.db.saved-{log.epoch}").rename(path)
        again = EventLog(path, asyncio.get_running_loop())
        assert len(again.history.events("e1")) == 2
        assert again.history.row("e2") is None
        await again.close()

    asyncio.run(main())
