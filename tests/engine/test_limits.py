"""Limits: what waits for its turn, what is refused at the door, and what fails and is undone."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from doors import begin, doors, ended, metric, order, shown, waiting, write
from flow import call
from running import Gateway, until
from service import Service
from stagedoor.cli import main

Start = Callable[..., Gateway]
Json = Any


def test_calls_to_a_cluster_wait_for_their_turn_and_no_slot_is_lost(
    gateway: Start, service: Service, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    branches = [{name: call(f"/hang/many/{name}", method="get")} for name in ("a", "b", "c")]
    write(tmp_path, "many", [{"f": {"fork": {"branches": branches}}}])
    write(tmp_path, "one", [{"a": call("/hang/one", method="get")}])
    write(
        tmp_path, "short", [{"a": {**call("/hang/short", method="get"), "timeout": {"after": {"milliseconds": 200}}}}]
    )
    write(tmp_path, "free", [{"a": call("/free", endpoint="cluster://other/free")}])
    limits = {"clusters": {"service": {"at_once": 1, "queue": 4}}}
    running = gateway(doors(["many", "one", "short", "free"], service.port, limits, ["other"]))
    many = begin(running, "many")
    service.await_request("/hang/many/a")
    one = begin(running, "one")
    [limit] = waiting(running, one, "limit")
    expected = {"limit": "cluster", "name": "service", "at_once": 1, "place": 2, "waiting": 3, "task": "/do/0/a"}
    assert expected.items() <= limit.items(), "each execution in its turn: one before the third call of the other"
    assert main(["executions", "show", one, "--admin", running.admin_url]) == 0
    told = capsys.readouterr().out
    assert f"waits: {limit['text']}" in told
    assert f"since {limit['since']}; {limit['wakes']} wakes it" in told
    assert "place 2 of 3" in told
    found = waiting(running, many, "call", "limit", "limit")
    assert [each["place"] for each in found if each["kind"] == "limit"] == [1, 3]
    assert [each["cluster"] for each in found if each["kind"] == "call"] == ["service"]
    # One more waits, and its time is over; where as many wait as may, a call fails.
    assert ended(running, begin(running, "short"))["error"]["status"] == 408
    other = begin(running, "one")
    waiting(running, other, "limit")
    error = ended(running, begin(running, "one"))["error"]
    assert (error["status"], error["title"]) == (503, "Too many calls wait")
    assert running.request("POST", "/free", {}).status == 200, "another cluster has slots of its own"
    # What is cancelled leaves its slot and its places.
    order(running, many, "cancel")
    ended(running, many)
    service.await_request("/hang/one")
    assert metric(running, "stagedoor_engine_calls_waiting") == 1
    assert metric(running, "stagedoor_engine_calls_refused_total") == 1
    running.kill()
    running = gateway()
    until(lambda: len(service.to("/hang/one")) == 2)
    service.release()
    for each in (one, other):
        assert ended(running, each)["status"] == "completed"
    assert {seen.path for seen in service.to("/hang/")} == {"/hang/many/a", "/hang/one"}
    assert metric(running, "stagedoor_engine_calls_waiting") == 0


def test_executions_of_a_workflow_wait_for_their_place_also_across_a_restart(
    gateway: Start, service: Service, tmp_path: Path
) -> None:
    write(tmp_path, "alone", [{"a": call("/hang/alone", method="get")}, {"b": call("/done")}])
    write(
        tmp_path, "outer", [{"a": {"run": {"workflow": {"namespace": "test", "name": "alone", "version": "latest"}}}}]
    )
    limits = {"workflows": {"test/alone": {"at_once": 1, "queue": 2}}}
    running = gateway(doors(["alone", "outer"], service.port, limits))
    first = begin(running, "alone")
    service.await_request("/hang/alone")
    second, third = begin(running, "alone"), begin(running, "alone")
    full = running.request("POST", "/alone", {}, {"prefer": "respond-async"})
    assert (full.status, full.headers["retry-after"]) == (503, "1")
    assert full.json["type"].endswith("overloaded")
    assert shown(running, third)["status"] == "pending"
    assert 'stagedoor_executions_open{status="pending"} 2' in running.metrics()
    running.kill()
    running = gateway()
    [limit] = waiting(running, third, "limit")
    expected = {"limit": "executions", "name": "test/alone", "at_once": 1, "place": 2, "waiting": 2}
    assert expected.items() <= limit.items()
    assert running.request("POST", "/alone", {}, {"prefer": "respond-async"}).status == 503
    # An execution that another one runs has that one's place.
    outer = begin(running, "outer")
    until(lambda: len(service.to("/hang/alone")) == 3)
    order(running, third, "cancel")
    assert ended(running, third)["timeline"] == []
    assert shown(running, second)["status"] == "pending"
    order(running, first, "cancel")
    ended(running, first)
    waiting(running, second, "call")
    service.release()
    for each in (second, outer):
        assert ended(running, each)["status"] == "completed"
    assert len(service.to("/done")) == 2


LOOP = {"for": {"in": "[range(1000)]"}, "do": [{"a": call("/item")}]}
WIDE = {"for": {"in": "[range(1000)]"}, "do": [{"a": call("/wide/" + 4000 * "w")}]}
TIMERS = {"fork": {"branches": [{f"w{n}": {"wait": "PT1H"}} for n in range(6)]}}
LISTENERS = {"fork": {"branches": [{f"l{n}": {"listen": {"to": {"one": {"with": {"type": "x"}}}}}} for n in range(6)]}}
CASES: dict[str, tuple[str, str, Json]] = {
    "events": ("Too many events", "its history has more than 100 events", LOOP),
    "size": ("Too much data", "its history is larger than 65536 bytes", WIDE),
    "timers": ("Too many timers", "it waits for more than 5 points in time at once", TIMERS),
    "listeners": ("Too many listeners", "it listens more than 5 times at once", LISTENERS),
}


def test_an_execution_that_comes_to_a_limit_of_its_own_fails_and_is_undone(
    gateway: Start, service: Service, tmp_path: Path
) -> None:
    for name, (_, _, task) in CASES.items():
        first = call(f"/first/{name}") | {"metadata": {"stagedoor/compensate": {"use": "undo"}}}
        caught = {"try": [{"work": task}], "catch": {"do": [{"c": call("/caught")}]}}
        write(tmp_path, name, [{"first": first}, {"t": caught}], {"undo": call(f"/undo/{name}")})
    circle = {"a": {"set": {"n": 1}, "then": "b"}}, {"b": {"switch": [{"back": {"then": "a"}}]}}
    write(tmp_path, "tasks", [*circle])
    limits = {"events": 100, "size": "64KiB", "timers": 5, "listeners": 5, "tasks": 3000}
    running = gateway(doors([*CASES, "tasks"], service.port, limits))
    for name, (title, detail, _) in CASES.items():
        found = ended(running, begin(running, name))
        assert found["status"] == "faulted"
        error = found["error"]
        assert (error["title"], error["status"], error["detail"]) == (title, 500, detail)
        assert error["type"].endswith("/errors/runtime")
        assert error["compensation"]["status"] == "complete", name
        assert len(service.to(f"/undo/{name}")) == 1
        assert f'stagedoor_executions_limited_total{{limit="{name}"}} 1' in running.metrics()
    assert service.to("/caught") == []
    assert 60 < len(service.to("/item")) <= 100
    error = ended(running, begin(running, "tasks"))["error"]
    assert (error["title"], error["instance"]) == ("Endless loop", "/do/1/b")


def test_new_limits_count_from_a_reload_on(gateway: Start, service: Service, tmp_path: Path) -> None:
    write(tmp_path, "one", [{"a": call("/hang", method="get")}])
    narrow = {"clusters": {"service": {"at_once": 1}}, "workflows": {"test/one": {"at_once": 2}}}
    running = gateway(doors(["one"], service.port, narrow))
    ids = [begin(running, "one") for _ in range(3)]
    waiting(running, ids[1], "limit")
    assert shown(running, ids[2])["status"] == "pending"
    (tmp_path / "stagedoor.yaml").write_text(doors(["one"], service.port, {"workflows": {"test/one": {"at_once": 3}}}))
    running.signal(1)
    service.await_request("/hang", 3)
    service.release()
    for each in ids:
        assert ended(running, each)["status"] == "completed"


@pytest.mark.parametrize("turns", [7])
def test_a_hot_loop_holds_up_neither_others_nor_the_operator(
    turns: int, gateway: Start, service: Service, tmp_path: Path
) -> None:
    circle = [{"a": {"set": {"n": "${ [range(200)] | add }"}, "then": "b"}}, {"b": {"switch": [{"x": {"then": "a"}}]}}]
    write(tmp_path, "hot", circle)
    write(tmp_path, "long", [{"l": {"for": {"in": f"[range({turns * 500})]"}, "do": [{"a": {"set": {"n": 1}}}]}}])
    write(tmp_path, "quick", [{"a": call("/a")}, {"b": call("/b")}])
    running = gateway(doors(["hot", "long", "quick"], service.port, {"tasks": 1_000_000_000}))
    hot = [begin(running, "hot") for _ in range(3)]
    assert running.request("POST", "/quick", {}).status == 200
    assert running.admin("/healthz").status == 200
    assert running.request("POST", "/long", {"n": 0}).json == {"n": 1}
    found = waiting(running, hot[0], "turn")
    assert found[0]["wakes"] == "its next turn"
    for each in hot[:2]:
        assert order(running, each, "cancel").status == 202
        assert ended(running, each)["status"] == "cancelled"
    running.kill()
    running = gateway()
    assert running.request("POST", "/quick", {}).status == 200
    assert order(running, hot[2], "cancel").status == 202
    assert ended(running, hot[2])["status"] == "cancelled"


def test_one_that_does_much_without_waiting_is_shown_without_doing_it_again(
    gateway: Start, service: Service, tmp_path: Path
) -> None:
    write(tmp_path, "long", [{"l": {"for": {"in": "[range(60000)]"}, "do": [{"a": {"set": {"n": 1}}}]}}])
    running = gateway(doors(["long"], service.port))
    id = begin(running, "long")
    waiting(running, id, "turn")
    seen = 0
    while (shown := running.admin(f"/executions/{id}").json)["status"] == "running":
        seen += 1
        assert shown["timeline"][0]["name"] == "l"
    assert seen >= 10
    assert ended(running, id)["output"] == {"n": 1}
