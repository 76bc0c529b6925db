"""Schedules: at most one start for each tick, also across restarts."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flow import call, config, write
from running import Gateway, until
from service import Service

Start = Callable[..., Gateway]


def scheduled(folder: Path, name: str, schedule: Any, do: list[Any]) -> None:
    document = {
        "document": {"dsl": "1.0.3", "namespace": "test", "name": name, "version": "1.0.0"},
        "schedule": schedule,
        "do": do,
    }
    (folder / f"{name}.workflow.yaml").write_text(json.dumps(document))


def executions(running: Gateway, name: str) -> Any:
    return running.admin(f"/executions?workflow=test/{name}").json["executions"]


def ticks(folder: Path, name: str) -> list[tuple[str, float]]:
    connection = sqlite3.connect(folder / "stagedoor.db")
    found = connection.execute(
        "SELECT tick, at FROM tick WHERE workflow = ? AND tick != 'since' ORDER BY at", (f"test/{name}",)
    ).fetchall()
    connection.close()
    return found


def send(running: Gateway, id: str, kind: str, **more: Any) -> None:
    event = {"specversion": "1.0", "id": id, "source": "/test", "type": kind, **more}
    assert running.admin("/events", "POST", event, {"content-type": "application/cloudevents+json"}).status == 202


def test_times_start_a_workflow_once_each_and_one_missed_time_is_made_up_for(
    gateway: Start, service: Service, tmp_path: Path
) -> None:
    write(tmp_path, [{"a": {"set": {"n": 1}}}])
    scheduled(tmp_path, "often", {"every": {"seconds": 1}}, [{"a": call("/tick")}])
    scheduled(tmp_path, "rest", {"after": {"seconds": 1}}, [{"a": call("/rest")}])
    running = gateway(config(service.port))
    until(lambda: len(service.to("/tick")) >= 2 and len(service.to("/rest")) >= 2)
    running.kill()
    before = len(ticks(tmp_path, "often"))
    connection = sqlite3.connect(tmp_path / "stagedoor.db")
    connection.execute(
        "UPDATE tick SET at = at - 100, tick = 'older ' || tick WHERE workflow = 'test/often' AND execution != ''"
    )
    connection.commit()
    connection.close()
    running = gateway()
    until(lambda: len(ticks(tmp_path, "often")) >= before + 3)
    found = ticks(tmp_path, "often")
    made_up, following = found[before], found[before + 1 :]
    assert made_up[1] == found[before - 1][1] + 1
    assert all(at == int(at) for _, at in found)
    assert following[0][1] - made_up[1] > 50
    starts = [seen.json for seen in service.to("/tick")]
    assert set(map(json.dumps, starts)) == {"{}"}
    rests = executions(running, "rest")
    assert len({each["id"] for each in rests}) == len(rests) >= 2
    assert "stagedoor_schedules_skipped_total 0" in running.metrics()


def test_events_start_a_workflow_once_each_also_across_a_crash(
    gateway: Start, service: Service, tmp_path: Path
) -> None:
    write(tmp_path, [{"a": {"set": {"n": 1}}}])
    scheduled(tmp_path, "one", {"on": {"one": {"with": {"type": "low"}}}}, [{"a": call("/one")}])
    both = {"all": [{"with": {"type": kind}, "correlate": {"room": {"from": ".room"}}} for kind in ("hot", "dry")]}
    scheduled(tmp_path, "both", {"on": both, "read": "envelope"}, [{"a": call("/both")}])
    running = gateway(config(service.port))
    send(running, "1", "low", data={"n": 1})
    send(running, "2", "hot", room="a")
    send(running, "3", "dry", room="b")
    until(lambda: executions(running, "one"))
    running.kill()
    running = gateway()
    send(running, "1", "low", data={"n": 1})
    send(running, "4", "dry", room="a")
    send(running, "5", "low", data={"n": 2})
    until(lambda: len(executions(running, "one")) == 2 and executions(running, "both"))
    until(lambda: all(each["status"] == "completed" for each in executions(running, "one")))
    assert {json.dumps(seen.json) for seen in service.to("/one")} == {'[{"n": 1}]', '[{"n": 2}]'}
    service.await_request("/both")
    assert [event["id"] for event in service.to("/both")[0].json] == ["2", "4"]
    assert len(executions(running, "both")) == 1
