"""Two hundred executions that wait for events, points in time, operators and limits: each says for what, and each wakes
once, also where the gateway is killed in the middle."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from doors import begin, doors, order, send, shown, write
from flow import call
from running import Gateway, until
from service import Service

Start = Callable[..., Gateway]
Json = Any

SHARE = 25
GROUPS = ("event", "all", "late", "soon", "held", "incident", "narrow", "alone")
SAME = {"output": {"as": "${ $input }"}}
WOKE = {"woke": call("/woke/{n}")}


def heard(*kinds: str) -> Json:
    """Listens for one's own event of each kind."""
    mine = {"n": {"from": ".data.n", "expect": "${ $workflow.input.n }"}}
    filters = [{"with": {"type": kind}, "correlate": mine} for kind in kinds]
    return {"listen": {"to": {"one": filters[0]} if len(filters) == 1 else {"all": filters}}, **SAME}


def write_all(folder: Path) -> None:
    undone = {"stagedoor/compensate": {"use": "undo", "retry": {"limit": {"attempt": {"count": 0}}}}}
    fails = {"raise": {"error": {"type": "https://x.example/no", "status": 400}}}
    write(folder, "event", [{"l": heard("go")}, WOKE])
    write(folder, "all", [{"l": heard("go", "late go")}, WOKE])
    write(folder, "late", [{"w": {"wait": "PT1H"}}, WOKE])
    write(folder, "soon", [{"w": {"wait": "PT2S"}}, WOKE])
    write(folder, "held", [{"l": heard("go")}, WOKE])
    write(folder, "narrow", [{"c": {**call("/hang/{n}", endpoint="cluster://narrow/hang/{n}"), **SAME}}, WOKE])
    write(folder, "alone", [{"l": heard("go")}, WOKE])
    functions = {"undo": call("/fail/1/undo/{n}")}
    write(folder, "incident", [{"a": {**call("/a"), **SAME, "metadata": undone}}, {"no": fails}], functions)


def check_reasons(running: Gateway, ids: dict[str, list[str]], numbers: dict[str, int]) -> None:
    """What each execution says of why it waits."""
    for group in GROUPS:
        if group == "soon":
            # Some have woken already.
            continue
        found = [until(lambda id=id: shown(running, id)["waiting"]) for id in ids[group]]  # type: ignore[misc]
        for id, reasons in zip(ids[group], found, strict=True):
            assert all(each["text"] and each["wakes"] and each["since"] for each in reasons), reasons
            if group in ("event", "all"):
                [event] = reasons
                assert event["kind"] == "event"
                assert [each["expects"] for each in event["filters"]] == [{"n": numbers[id]}] * len(event["filters"])
                assert event["types"] == [each["with"]["type"] for each in event["filters"]]
            elif group == "late":
                [timer] = reasons
                assert (timer["kind"], timer["purpose"], timer["task"]) == ("timer", "wait", "/do/0/w")
                hour = datetime.fromisoformat(timer["until"]) - datetime.fromisoformat(timer["since"])
                assert hour == timedelta(hours=1)
            elif group == "held":
                assert sorted(each["kind"] for each in reasons) == ["event", "operator"]
                [operator] = [each for each in reasons if each["kind"] == "operator"]
                assert (operator["by"], operator["reason"]) == ("ann", "the test says so")
            elif group == "incident":
                [operator] = reasons
                assert (operator["kind"], operator["task"]) == ("operator", "/do/0/a")
                assert operator["incident"]
        if group in ("narrow", "alone"):
            check_queue(group, found)


def check_queue(group: str, found: list[list[Json]]) -> None:
    """One goes on, the others stand in a queue in the order in which they came."""
    assert [len(reasons) for reasons in found] == [1] * SHARE
    kinds = Counter(reasons[0]["kind"] for reasons in found)
    assert kinds == {"limit": SHARE - 1, "call" if group == "narrow" else "event": 1}
    limits = [reasons[0] for reasons in found if reasons[0]["kind"] == "limit"]
    assert {(each["limit"], each["name"], each["at_once"], each["waiting"]) for each in limits} == {
        ("cluster", "narrow", 1, SHARE - 1) if group == "narrow" else ("executions", "test/alone", 1, SHARE - 1)
    }
    assert [each["place"] for each in limits] == list(range(1, SHARE))


def go(running: Gateway, numbers: Iterable[int], kind: str = "go") -> None:
    for number in numbers:
        assert send(running, f"{kind} {number}", kind, {"n": number}).status == 202


def decide(running: Gateway, id: str) -> None:
    """An operator's word on what waits for one."""
    for reason in shown(running, id)["waiting"]:
        if reason["kind"] == "operator" and "incident" in reason:
            order(running, id, f"incidents/{reason['incident']}", action="retry")
        elif reason["kind"] == "operator":
            order(running, id, "resume")


def test_two_hundred_that_wait_say_for_what_and_wake_once_also_across_a_kill(
    gateway: Start, service: Service, tmp_path: Path
) -> None:
    write_all(tmp_path)
    limits = {"clusters": {"narrow": {"at_once": 1}}, "workflows": {"test/alone": {"at_once": 1, "queue": SHARE}}}
    running = gateway(doors(GROUPS, service.port, limits, ["narrow"]))
    ids: dict[str, list[str]] = {group: [] for group in GROUPS}
    numbers: dict[str, int] = {}
    for group in GROUPS:
        for _ in range(SHARE):
            number = len(numbers)
            id = begin(running, group, {"n": number})
            ids[group].append(id)
            numbers[id] = number
            if group == "held":
                until(lambda id=id: shown(running, id)["waiting"])  # type: ignore[misc]
                assert order(running, id, "suspend").status == 202
    for id in ids["held"]:
        until(lambda id=id: shown(running, id)["status"] == "suspended")  # type: ignore[misc]
    for id in ids["incident"]:
        until(lambda id=id: shown(running, id)["status"] == "suspended")  # type: ignore[misc]
    check_reasons(running, ids, numbers)

    half = {group: [numbers[id] for id in ids[group]][: SHARE // 2] for group in GROUPS}
    go(running, [*half["event"], *half["all"], *half["held"], *half["alone"]])
    for id in [*ids["held"][: SHARE // 2], *ids["incident"][: SHARE // 2]]:
        decide(running, id)
    running.kill()
    with sqlite3.connect(tmp_path / "stagedoor.db") as connection:
        # The gateway was away for an hour.
        marks = ",".join("?" * SHARE)
        for table in ("event", "timer"):
            connection.execute(f"UPDATE {table} SET at = at - 3600 WHERE execution IN ({marks})", ids["late"])
    connection.close()
    running = gateway()

    every = [id for group in GROUPS for id in ids[group]]
    left = [found for id in every if (found := shown(running, id))["status"] not in ("completed", "faulted")]
    assert len(left) > SHARE
    for found in left:
        assert [each for each in found["waiting"] if each["text"] and each["wakes"]] == found["waiting"] != [], found
    waiting = [numbers[id] for group in ("event", "all", "held", "alone") for id in ids[group]]
    go(running, waiting)
    go(running, waiting, "late go")
    service.release()
    for id in [*ids["held"], *ids["incident"]]:
        decide(running, id)
    for id in every:
        expected = "faulted" if id in ids["incident"] else "completed"
        until(lambda id=id, expected=expected: shown(running, id)["status"] == expected)  # type: ignore[misc]
        assert shown(running, id)["waiting"] == []

    # A call that was on its way when the gateway was killed is repeated with its key: one key is one effect.
    woken = {group: {f"/woke/{numbers[id]}" for id in ids[group]} for group in GROUPS if group != "incident"}
    seen = {(each.path, each.key) for each in service.to("/woke/")}
    assert Counter(path for path, _ in seen) == dict.fromkeys(set[str]().union(*woken.values()), 1)
    for id in ids["incident"]:
        found = shown(running, id)
        assert found["error"]["compensation"]["status"] == "complete"
        assert (
            len(
                {
                    each.key
                    for each in service.to(f"/fail/1/undo/{numbers[id]}")
                    if each.path.endswith(f"/{numbers[id]}")
                }
            )
            == 1
        )
        [incident] = found["incidents"]
        assert incident["resolved"]["action"] == "retry"
    once = service.to("/woke/")
    late = [each for each in once if each.path in woken["late"]]
    assert len(late) == SHARE, "a timer whose time has passed fires once"
