"""What the sink is told of single tasks: in their order, at least once, with one id for each."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any

from flow import call, config, undo, write
from running import Gateway, until
from service import Service

Start = Callable[..., Gateway]
SINK = "engine: {events: {sink: cluster://service/told, mode: structured, tasks: true}}"
PREFIX = "org.openworkflow.task."


def told(service: Service, execution: str | None = None) -> list[Any]:
    """The events by their ids, in their order; the same id is always the same event."""
    events: dict[tuple[int, int], Any] = {}
    for seen in service.to("/told"):
        event = seen.json
        if not event["type"].startswith(PREFIX):
            continue
        id, _, number = event["id"].partition("#")
        if execution in (None, id):
            seq, _, index = number.partition(".")
            assert events.setdefault((int(seq), int(index)), event) == event
    return [events[key] for key in sorted(events)]


def moves(events: list[Any]) -> list[tuple[str, str]]:
    return [
        (each["type"].removeprefix(PREFIX).removesuffix(".v1"), each["data"]["task"].rpartition("/")[2])
        for each in events
    ]


def started(*names: str) -> list[tuple[str, str]]:
    return [(what, name) for name in names for what in ("created", "started")]


def test_the_sink_is_told_what_becomes_of_tasks(gateway: Start, service: Service, tmp_path: Path) -> None:
    retry = {"delay": "PT0.01S", "limit": {"attempt": {"count": 1}}}
    do = [
        {"skipped": {"if": "false", "set": {"n": 1}}},
        {"again": {"try": [{"fails": call("/fail/1/x")}], "catch": {"retry": retry}}},
        {"race": {"fork": {"compete": True, "branches": [{"slow": {"wait": "PT1H"}}, {"fast": {"set": {"n": 1}}}]}}},
        {"each": {"for": {"in": "[1]"}, "do": [{"inner": {"set": {"n": "${ $item }"}}}]}},
        {"late": {"timeout": {"after": "PT0.01S"}, "wait": "PT1H"}},
    ]
    write(tmp_path, do)
    running = gateway(config(service.port, extra=SINK))
    assert running.request("POST", "/flow", {}).status == 408
    until(lambda: len(told(service)) == 28)  # as they come, which need not be their order
    events = told(service)
    assert moves(events) == [
        *started("again", "fails"),
        ("faulted", "fails"),
        ("retried", "again"),
        *started("fails"),
        *(("completed", "fails"), ("completed", "again")),
        *started("race", "slow", "fast"),
        *(("completed", "fast"), ("cancelled", "slow"), ("completed", "race")),
        *started("each", "inner"),
        *(("completed", "inner"), ("completed", "each")),
        *started("late"),
        ("faulted", "late"),
    ]
    first, failed, inner = events[0], events[4], events[-6]
    assert set(first["data"]) == {"workflow", "definition", "task", "createdAt"}
    assert (first["data"]["workflow"], first["data"]["task"]) == (first["subject"], "/do/1/again")
    assert first["data"]["definition"] == {"namespace": "test", "name": "flow", "version": "1.0.0"}
    assert first["data"]["createdAt"] == first["time"]
    assert failed["data"]["error"]["status"] == 500
    assert inner["data"]["iteration"] == "[0]"


def test_tasks_are_told_to_be_suspended_with_their_execution_and_undone_after_it(
    gateway: Start, service: Service, tmp_path: Path
) -> None:
    do = [
        {"done": call("/a", undo="back")},
        {"hangs": call("/hang")},
        {"bad": {"raise": {"error": {"type": "x", "status": 418}}}},
    ]
    write(tmp_path, do, {"back": undo("/back")})
    running = gateway(config(service.port, extra=SINK))
    location = running.request("POST", "/flow", {}, {"prefer": "respond-async"}).headers["location"]
    id = location.rpartition("/")[2]
    service.await_request("/hang")
    words = {"reason": "look", "by": "ann"}
    assert running.admin(f"/executions/{id}/suspend", "POST", words).status == 202
    until(lambda: ("suspended", "hangs") in moves(told(service)))
    assert running.admin(f"/executions/{id}/resume", "POST", words).status == 202
    until(lambda: ("resumed", "hangs") in moves(told(service)))
    service.release()
    until(lambda: running.request("GET", location).json["status"] == "faulted")
    until(lambda: len(told(service)) == 14)
    events = told(service)
    assert moves(events)[3:] == [
        *started("hangs"),
        *(("suspended", "hangs"), ("resumed", "hangs"), ("completed", "hangs")),
        *(("created", "bad"), ("started", "bad"), ("faulted", "bad")),
        *started(UNDO),
        ("completed", UNDO),
    ]
    assert events[-1]["data"]["compensates"] == "/do/0/done"


UNDO = "stagedoor~1compensate"


def test_after_a_crash_anywhere_the_sink_is_told_all_of_it(gateway: Start, service: Service, tmp_path: Path) -> None:
    write(tmp_path, [{"a": call("/a")}, {"e": {"emit": {"event": {"with": {"type": "paid"}}}}}, {"b": call("/b")}])
    (tmp_path / "stagedoor.yaml").write_text(config(service.port, extra=SINK))
    wanted = [
        *(*started("a"), ("completed", "a")),
        *(*started("e"), ("completed", "e")),
        *(*started("b"), ("completed", "b")),
    ]
    found: dict[str, list[tuple[str, str]]] = defaultdict(list)
    # What is told counts with what is logged: an event is lost before it, or it is lost before an event.
    for crash in (1, 2, 3, 5):
        running = gateway(environment={"STAGEDOOR_CRASH_AFTER_EVENT": str(crash)})
        headers = {"idempotency-key": str(crash), "prefer": "respond-async"}
        with contextlib.suppress(OSError):
            running.request("POST", "/flow", {}, headers)
        assert running.process.wait(30) == 137
        running = gateway()
        location = running.request("POST", "/flow", {}, headers).headers.get("location")
        page = running.admin("/executions").json["executions"]
        id = page[0]["id"]
        assert location is None or location.endswith(id)
        until(lambda id=id: moves(told(service, id))[-1:] == wanted[-1:])
        found[id] = moves(told(service, id))
        assert running.end() == 0
    assert list(found.values()) == [wanted] * 4


def test_the_tasks_of_a_restarted_execution_are_told_like_all_others(
    gateway: Start, service: Service, tmp_path: Path
) -> None:
    write(tmp_path, [{"a": call("/a")}, {"block": {"do": [{"b": call("/b")}, {"c": call("/fail/1/c")}]}}])
    running = gateway(config(service.port, extra=SINK))
    location = running.request("POST", "/flow", {}, {"prefer": "respond-async"}).headers["location"]
    origin = location.rpartition("/")[2]
    until(lambda: running.request("GET", location).json["status"] == "faulted")
    words = {"reason": "again", "by": "ann"}
    again = f"/executions/{origin}/restart"
    # Its end is told a moment before it is in the log, and until then it has not ended for a restart.
    whole = until(lambda: running.admin(again, "POST", words).json.get("execution"))
    part = running.admin(again, "POST", {**words, "from": "c"}).json["execution"]
    last = ("completed", "block")
    until(lambda: moves(told(service, whole))[-1:] == [last] == moves(told(service, part))[-1:])
    assert moves(told(service, whole)) == [
        *(*started("a"), ("completed", "a"), *started("block")),
        *(*started("b"), ("completed", "b"), *started("c"), ("completed", "c"), last),
    ]
    # What it took over was the origin's; what is around the task is under way with it.
    assert moves(told(service, part)) == [
        ("created", "block"),
        ("started", "block"),
        *started("c"),
        ("completed", "c"),
        last,
    ]


def test_a_restarted_execution_that_is_read_back_is_told_of_once(
    gateway: Start, service: Service, tmp_path: Path
) -> None:
    write(tmp_path, [{"a": call("/a")}, {"b": call("/fail/1/b")}, {"c": call("/hang")}])
    running = gateway(config(service.port, extra=SINK))
    location = running.request("POST", "/flow", {}, {"prefer": "respond-async"}).headers["location"]
    until(lambda: running.request("GET", location).json["status"] == "faulted")
    path = f"/executions/{location.rpartition('/')[2]}/restart"
    new = running.admin(path, "POST", {"reason": "again", "by": "ann", "from": "b"}).json["execution"]
    service.await_request("/hang")
    running.kill()
    running = gateway()
    service.release()
    until(lambda: moves(told(service, new))[-1:] == [("completed", "c")])
    assert moves(told(service, new)) == [*started("b"), ("completed", "b"), *started("c"), ("completed", "c")]
