"""Two gateways and one store: the second waits, takes over when the first is gone, and never does both write."""

from __future__ import annotations

import asyncio
import re
import signal
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path

from flow import call, config, write
from running import Answer, Gateway, request, until
from service import Service
from stagedoor.engine.event_log import Append, EventLog
from test_event_log import appended, started

Start = Callable[..., Gateway]
LATER = {"prefer": "respond-async"}


def waits(gateway: Gateway) -> str:
    """The address of its admin endpoint, once it waits."""
    found = until(lambda: re.search(r"^admin: http://(\S+)$", gateway.log, re.MULTILINE))
    until(lambda: "standing by: " in gateway.log)
    return found[1]


def events(folder: Path) -> list[tuple[str, int]]:
    connection = sqlite3.connect(folder / "stagedoor.db")
    try:
        return connection.execute("SELECT type, seq FROM event ORDER BY execution, seq").fetchall()
    finally:
        connection.close()


def test_a_standby_waits_and_takes_over_from_one_that_was_killed_and_from_one_that_drains(
    gateway: Start, service: Service, tmp_path: Path
) -> None:
    write(tmp_path, [{"first": call("/a")}, {"second": call("/hang")}])
    settings = config(service.port).replace('bind: "127.0.0.1:0"', 'bind: "127.0.0.1:${env:DOOR:-0}"', 1)
    settings = settings.replace('admin: {bind: "127.0.0.1:0"}', 'admin: {bind: "127.0.0.1:${env:ADMIN:-0}"}')
    first = gateway(settings)
    door = first.addresses["listeners"]["door"]
    second = gateway(standby="second-", environment={"DOOR": door.rpartition(":")[2]})
    admin = waits(second)
    ready = request(admin, "GET", "/readyz")
    assert ready.status == 503
    assert f"is in use by process {first.process.pid}" in ready.json["reason"]
    assert request(admin, "GET", "/healthz").status == 200
    assert b"stagedoor_standby 1\n" in request(admin, "GET", "/metrics").body
    refused = request(admin, "GET", "/executions")
    assert (refused.status, refused.headers["retry-after"]) == (503, "1")
    assert "listener " not in second.log, "what it would serve may be another's address"

    accepted = first.request("POST", "/flow", {"sku": "chair"}, LATER)
    assert accepted.status == 202
    [one] = service.await_request("/hang")
    first.process.kill()
    second.serves()
    assert second.addresses == {"listeners": {"door": door}, "admin": admin}
    service.release()
    place = accepted.headers["location"]
    until(lambda: second.request("GET", place).json["status"] == "completed")
    assert request(admin, "GET", "/readyz").status == 200
    assert [seen.key for seen in service.to("/hang")] == [one.key, one.key]
    assert "executions recovered" in second.log

    # All its addresses are the other's: it can be asked nothing while it waits.
    ports = {"DOOR": door.rpartition(":")[2], "ADMIN": admin.rpartition(":")[2]}
    third, fourth = gateway(standby="third-", environment=ports), gateway(standby="fourth-")
    until(lambda: "standing by: " in third.log)
    (tmp_path / "stagedoor.yaml").write_text(settings.replace("path: /flow", "path: /renamed"))
    until(lambda: "configuration read" in third.log)
    waits(fourth)
    assert fourth.end() == 0, "nothing is lost by ending one that waits"
    assert second.end() == 0
    third.serves()
    assert third.addresses == second.addresses
    assert third.request("GET", place).status == 404, "the route has another path now"
    assert third.request("POST", "/renamed", {}).json["path"] == "/hang"


def test_one_that_was_stopped_while_another_took_over_writes_nothing_and_ends(
    gateway: Start, service: Service, tmp_path: Path
) -> None:
    write(tmp_path, [{"only": call("/hang")}])
    first = gateway(config(service.port))
    accepted = first.request("POST", "/flow", {}, LATER)
    service.await_request("/hang")
    answers: list[Answer] = []
    client = threading.Thread(target=lambda: answers.append(first.request("POST", "/flow", {})))
    client.start()
    service.await_request("/hang", 2)
    first.signal(signal.SIGSTOP)
    second = gateway(standby="second-")
    until(lambda: f"process {first.process.pid}, which is stopped: continue it or end it" in second.log)
    # What nobody should do. The lock is all that the standby goes by; the store has its own.
    (tmp_path / "stagedoor.db.lock").unlink()
    second.serves()
    service.release()
    until(lambda: second.request("GET", accepted.headers["location"]).json["status"] == "completed")
    until(lambda: second.admin("/executions?status=open").json["executions"] == [])
    before = events(tmp_path)
    first.signal(signal.SIGCONT)
    assert first.process.wait(60) == 1
    client.join(60)
    [answer] = answers
    assert (answer.status, answer.json["detail"]) == (503, "Another gateway has the store.")
    assert answer.headers["retry-after"]
    assert "the store is lost, this gateway ends: another process has taken it over" in first.log
    assert events(tmp_path) == before == 2 * [("ExecutionStarted", 0), ("CallCompleted", 1), ("ExecutionCompleted", 2)]


def test_an_owner_of_another_epoch_writes_nothing_although_it_has_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "store.db"

    async def main() -> None:
        loop, lost = asyncio.get_running_loop(), asyncio.Event()
        first = EventLog(path, loop, lost=lambda _: lost.set())
        assert await appended(first, [started("e1")]) == [None]
        (tmp_path / "store.db.lock").unlink()
        second = EventLog(path, loop)
        assert second.epoch == first.epoch + 1
        assert await appended(second, [Append("e1", 1, "TimerFired", 2.0, '{"timer":"t"}')]) == [None]
        await second.close()

        kept = asyncio.ensure_future(appended(first, [Append("e1", 1, "TimerFired", 3.0, '{"timer":"t"}')]))
        (error,) = await appended(first, [started("e2")])
        assert "another process has taken it over" in str(error)
        await asyncio.wait_for(lost.wait(), 30)
        assert not kept.done()
        kept.cancel()
        assert [event.at for event in first.history.events("e1")] == [1.0, 2.0]
        assert first.history.row("e2") is None
        await first.close()

    asyncio.run(main())


def test_a_lock_file_that_is_removed_is_made_anew(tmp_path: Path) -> None:
    async def main() -> None:
        log = EventLog(tmp_path / "store.db", asyncio.get_running_loop())
        (tmp_path / "store.db.lock").unlink()
        await asyncio.to_thread(until, (tmp_path / "store.db.lock").exists)
        assert await appended(log, [started("e1")]) == [None]
        await log.close()

    asyncio.run(main())
