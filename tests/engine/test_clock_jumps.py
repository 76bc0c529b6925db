"""A gateway whose wall clock is put forward and back: nothing is lost, nothing happens twice, nobody waits for longer
than it was to."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flow import call, config, undo, write
from running import Gateway, until
from service import Service
from test_schedules import scheduled, send
from wall_clock import DAY, HOUR, WallClock

Json = Any
Start = Callable[..., Gateway]
LATER = {"prefer": "respond-async"}


@pytest.fixture
def clock(tmp_path: Path) -> WallClock:
    (tmp_path / "clock").mkdir()
    return WallClock(tmp_path / "clock")


def routes(service: Service, *names: str) -> str:
    more = "".join(
        f"  {name}: {{match: {{path: /{name}, methods: [POST]}}, target: {{workflow: test/{name}}}}}\n"
        for name in names
    )
    return config(service.port).replace("  mine:\n", more + "  mine:\n")


def begin(running: Gateway, name: str) -> str:
    answer = running.request("POST", f"/{name}", {}, LATER)
    assert answer.status == 202, answer
    return str(answer.json["id"])


def status(running: Gateway, id: str) -> str:
    return str(running.admin(f"/executions/{id}").json["status"])


def waits(running: Gateway, id: str) -> None:
    becomes(running, id, "waiting")


def becomes(running: Gateway, id: str, wanted: str) -> None:
    until(lambda: status(running, id) == wanted)


def fired(running: Gateway, id: str) -> int:
    events = running.admin(f"/executions/{id}/history").json["events"]
    return sum(each["type"] == "TimerFired" for each in events)


def parked(running: Gateway, count: int) -> None:
    until(lambda: f"stagedoor_executions_parked {count}\n" in running.metrics())


def test_nobody_waits_for_longer_where_the_clock_is_put_back_also_while_the_gateway_is_down(
    gateway: Start, service: Service, clock: WallClock, tmp_path: Path
) -> None:
    write(tmp_path, [{"a": {"set": {"n": 1}}}])
    write(tmp_path, [{"pause": {"wait": {"seconds": 3}}}, {"then": call("/soon")}], name="soon")
    write(tmp_path, [{"pause": {"wait": {"seconds": 9}}}, {"then": call("/rest")}], name="rest")
    running = gateway(routes(service, "soon", "rest"), environment=clock.environment)
    first = begin(running, "soon")
    waits(running, first)
    clock.put(-DAY)
    becomes(running, first, "completed")

    # One that is in memory, one that is parked; the gateway is killed, and the clock is put back while it is away.
    for name, ready in (("soon", waits), ("rest", lambda running, _: parked(running, 1))):
        second = begin(running, name)
        ready(running, second)
        running.kill()
        clock.put(-DAY)
        running = gateway(environment=clock.environment)
        becomes(running, second, "completed")
        assert fired(running, second) == 1
    assert [len(service.to(path)) for path in ("/soon", "/rest")] == [2, 1]


def test_what_is_due_fires_once_where_the_clock_is_put_forward_and_nothing_early_where_it_is_put_right(
    gateway: Start, service: Service, clock: WallClock, tmp_path: Path
) -> None:
    listen = {"listen": {"to": {"one": {"with": {"type": "never"}}}}, "timeout": {"after": {"hours": 2}}}
    write(tmp_path, [{"a": {"set": {"n": 1}}}])
    write(tmp_path, [{"pause": {"wait": {"hours": 2}}}, {"then": call("/far")}], name="far")
    write(tmp_path, [{"done": call("/done", undo="u")}, {"late": listen}], {"u": undo("/undone")}, name="late")
    write(tmp_path, [{"pause": {"wait": {"seconds": 3}}}], name="soon")
    running = gateway(routes(service, "far", "late", "soon"), environment=clock.environment)
    begun = [begin(running, "far"), begin(running, "late")]
    for each in begun:
        waits(running, each)
    for seconds in (-DAY, DAY):
        clock.put(seconds)
        soon = begin(running, "soon")
        becomes(running, soon, "completed")
        assert [status(running, each) for each in begun] == ["waiting", "waiting"]
    clock.put(3 * HOUR)
    until(lambda: [status(running, each) for each in begun] == ["completed", "faulted"])
    assert [fired(running, each) for each in begun] == [1, 1]
    assert [len(service.to(path)) for path in ("/far", "/done", "/undone")] == [1, 1, 1]


def test_schedules_go_on_from_where_the_clock_is_and_start_nothing_twice(
    gateway: Start, service: Service, clock: WallClock, tmp_path: Path
) -> None:
    write(tmp_path, [{"a": {"set": {"n": 1}}}])
    scheduled(tmp_path, "often", {"every": {"seconds": 1}}, [{"a": call("/tick")}])
    scheduled(tmp_path, "rest", {"after": {"seconds": 1}}, [{"a": call("/rest")}])
    running = gateway(config(service.port), environment=clock.environment)

    def goes_on() -> None:
        before = len(service.to("/tick")), len(service.to("/rest"))
        until(lambda: len(service.to("/tick")) >= before[0] + 2 and len(service.to("/rest")) >= before[1] + 2)

    goes_on()
    for seconds in (-DAY, -DAY, 2 * DAY - 30, 3 * DAY, -3 * DAY):
        clock.put(seconds)
        goes_on()
    running.kill()
    clock.put(-DAY)
    running = gateway(environment=clock.environment)
    goes_on()
    for name in ("often", "rest"):
        begun = [each for _, each in ticks_of(tmp_path, name)]
        assert len(begun) == len(set(begun)) >= 10
    assert "stagedoor_schedules_skipped_total 0" in running.metrics()
    assert "cannot be written" not in running.log


def ticks_of(folder: Path, name: str) -> list[tuple[str, str]]:
    connection = sqlite3.connect(folder / "stagedoor.db")
    try:
        return connection.execute(
            "SELECT tick, execution FROM tick WHERE workflow = ? AND tick != 'since'", (f"test/{name}",)
        ).fetchall()
    finally:
        connection.close()


def test_what_is_kept_for_a_while_is_not_too_old_because_the_clock_is_put_forward(
    gateway: Start, service: Service, clock: WallClock, tmp_path: Path
) -> None:
    listen = {"listen": {"to": {"one": {"with": {"type": "early"}}}}}
    write(tmp_path, [{"first": call("/hang")}, {"listens": listen}])
    write(tmp_path, [{"a": {"set": {"n": 1}}}], name="done")
    running = gateway(routes(service, "done"), environment=clock.environment)
    done = running.request("POST", "/done", {}, LATER).json["id"]
    becomes(running, done, "completed")
    listens = begin(running, "flow")
    service.await_request("/hang")
    send(running, "1", "early")
    clock.put(60 * DAY)
    send(running, "2", "other")
    service.release()
    becomes(running, listens, "completed")
    # A purge of something else has all of it looked at.
    purge = {"workflow": "test/none"}
    assert running.admin("/executions/purge", "POST", purge).status == 202
    until(lambda: "the clock was put forward: nothing is taken for too old for a while" in running.log)
    clock.put(-60 * DAY)
    assert running.admin("/executions/purge", "POST", purge).status == 202
    assert status(running, done) == "completed"


def test_an_event_that_comes_after_the_clock_was_put_back_wakes_who_listens(
    gateway: Start, service: Service, clock: WallClock, tmp_path: Path
) -> None:
    write(tmp_path, [{"listens": {"listen": {"to": {"one": {"with": {"type": "news"}}}}}}])
    running = gateway(config(service.port), environment=clock.environment)
    first = begin(running, "flow")
    waits(running, first)
    clock.put(-HOUR)
    send(running, "1", "news")
    becomes(running, first, "completed")
    # One that began before that is not shown what came before it.
    second = begin(running, "flow")
    waits(running, second)
    running.kill()
    clock.put(-HOUR)
    running = gateway(environment=clock.environment)
    send(running, "2", "news")
    becomes(running, second, "completed")


def test_a_token_that_was_not_to_be_had_is_asked_for_again_also_where_the_clock_is_put_back(
    gateway: Start, service: Service, clock: WallClock, tmp_path: Path
) -> None:
    way = {
        "authority": "cluster://service/status/503",
        "grant": "client_credentials",
        "client": {"id": "a", "secret": "b"},
    }
    endpoint = {"uri": "cluster://service/a", "authentication": {"oauth2": way}}
    write(tmp_path, [{"only": {"call": "http", "with": {"method": "get", "endpoint": endpoint}}}])
    running = gateway(config(service.port), environment=clock.environment)
    assert running.request("POST", "/flow", {}).status == 503
    asked = len(service.requests)
    clock.put(-DAY)
    until(lambda: running.request("POST", "/flow", {}).status == 503 and len(service.requests) > asked)
