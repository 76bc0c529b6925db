"""Executions that have ended are begun anew, from their start or from a task, through a real gateway."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from flow import call, config, undo
from flow import write as write_workflow
from running import Gateway, until
from service import Service
from stagedoor.cli import main

Start = Callable[..., Gateway]
Json = Any
WORDS = {"reason": "once more", "by": "ann"}


def begin(running: Gateway, input: Json = None) -> str:
    """An execution's id."""
    accepted = running.request("POST", "/mine", input or {}, {**WEB, "prefer": "respond-async"})
    return accepted.headers["location"].rpartition("/")[2]


WEB = {"x-api-key": "key-of-web-0123456789"}


def ended(running: Gateway, id: str) -> Json:
    def look() -> Json:
        [shown] = [each for each in running.admin("/executions?limit=500").json["executions"] if each["id"] == id]
        return shown["ended"] and running.admin(f"/executions/{id}").json

    return until(look)


def restart(running: Gateway, id: str, **asked: Json) -> Json:
    answer = running.admin(f"/executions/{id}/restart", "POST", WORDS | asked)
    return answer.status, answer.json


def test_whoever_is_told_of_the_end_may_begin_anew_at_once(gateway: Start, service: Service, tmp_path: Path) -> None:
    write_workflow(tmp_path, [{"only": call("/status/409")}])
    running = gateway(config(service.port))
    for _ in range(20):
        id = begin(running)
        until(lambda id=id: running.admin(f"/executions/{id}").json["status"] == "faulted")
        assert restart(running, id, dryRun=True)[0] == 200


def test_a_failed_step_is_done_again_with_other_data_as_another_execution(
    gateway: Start, service: Service, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    first = {**call("/a"), "export": {"as": "${ {order: .number} }"}}
    charge = call("/fail/1/charge", body="${ {card: .card, order: $context.order} }")
    write_workflow(tmp_path, [{"first": first}, {"charge": charge}, {"last": call("/hang")}])
    running = gateway(config(service.port))
    origin = begin(running)
    assert ended(running, origin)["error"]["status"] == 500

    def say(*words: str) -> str:
        capsys.readouterr()
        assert main(["executions", *words, "--admin", running.admin_url]) == 0
        return capsys.readouterr().out

    words = (
        "restart",
        origin,
        "--from",
        "charge",
        "--input",
        '{"card": 4242}',
        "--reason",
        "a new card",
        "--by",
        "ann",
    )
    assert "can be restarted from /do/1/charge, behind event 2, by version 1.0.0" in say(*words, "--dry-run")
    assert len(running.admin("/executions").json["executions"]) == 1
    told = json.loads(say(*words, "--json"))
    assert (told["origin"], told["event"], told["task"], told["status"]) == (origin, 2, "/do/1/charge", "restarted")
    until(lambda: service.to("/hang"))
    running.kill()
    running = gateway()
    service.release()
    shown = ended(running, told["execution"])
    assert (shown["status"], shown["consumer"], shown["idempotencyKey"]) == ("completed", "web", None)
    assert shown["origin"] == {
        **{"execution": origin, "event": 2, "task": "/do/1/charge", "edited": ["input"], "undos": "left"},
        **{"by": "ann", "reason": "a new card"},
    }
    assert len(service.to("/a")) == 1
    one, other = service.to("/fail")
    assert (one.json, other.json) == ({"card": None, "order": 1}, {"card": 4242, "order": 1})
    assert one.key == f"{origin}/do/1/charge"
    assert other.key == f"{told['execution']}/do/1/charge"
    assert "by ann: a new card" in say("show", told["execution"])
    assert [each["id"] for each in json.loads(say("list", "--origin", origin, "--json"))["executions"]] == [
        told["execution"]
    ]
    (tmp_path / "history.json").write_text(say("history", told["execution"]))
    assert main(["replay", str(tmp_path / "history.json")]) == 0
    assert ended(running, origin)["status"] == "faulted"
    # Its consumer sees it as any other.
    path = f"/mine/executions/{told['execution']}"
    assert running.request("GET", path, headers=WEB).json["status"] == "completed"


def test_what_was_done_before_is_undone_by_one_execution_at_most(
    gateway: Start, service: Service, tmp_path: Path
) -> None:
    last = call("/status/{code}") | {"input": {"from": "${ {code: (.code // 200)} }"}}
    do = [{"a": call("/a", undo="undo")}, {"b": call("/b")}, {"c": last}]
    write_workflow(tmp_path, do, {"undo": undo("/undo")})
    running = gateway(config(service.port))
    origin = begin(running)
    assert ended(running, origin)["status"] == "completed"
    asked = {"from": "c", "input": {"code": 402}}
    status, left = restart(running, origin, **asked)
    assert (status, left["undos"]) == (201, [])
    entries = ended(running, left["execution"])["error"]["compensation"]["entries"]
    assert [(each["task"], each["status"]) for each in entries] == [("/do/0/a", "kept")]
    assert service.to("/undo") == []
    # Four at once: what the origin did is one execution's to undo.
    with ThreadPoolExecutor(4) as threads:
        ask = partial(restart, running, origin, takeUndos=True, **asked)
        answers = [each.result() for each in [threads.submit(ask) for _ in range(4)]]
    assert sorted(status for status, _ in answers) == [201, 409, 409, 409]
    [taken] = [told for status, told in answers if status == 201]
    assert taken["undos"] == ["/do/0/a"]
    assert {told["detail"] for status, told in answers if status == 409} == {
        f"its undos were taken over by {taken['execution']}: restart that one"
    }
    assert ended(running, taken["execution"])["error"]["compensation"]["status"] == "complete"
    [undone] = service.to("/undo")
    assert (undone.method, undone.key.startswith(taken["execution"])) == ("DELETE", True)
    # Undone it is for whoever would begin behind it, also by way of another that had begun there.
    for id in (origin, left["execution"]):
        assert restart(running, id, **asked) == (
            409,
            {
                **{"type": "about:blank", "title": "Conflict", "status": 409},
                "detail": f"its undos were taken over by {taken['execution']}: restart that one",
            },
        )
    status, told = restart(running, taken["execution"], **asked)
    assert (status, "what /do/0/a did has been undone since" in told["detail"]) == (409, True)
    assert (len(service.to("/a")), len(service.to("/b"))) == (1, 1)


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Gateway, dict[str, str]]]:
    """A gateway, and an execution of each kind."""
    folder = tmp_path_factory.mktemp("restart")
    with Service() as service:
        pause = {"if": "${ .wait == true }", "wait": "PT1H"}
        fail = {"if": "${ .fail == true }", **call("/status/402")}
        do = [{"a": {**call("/a", undo="undo"), "output": {"as": "${ $input }"}}}, {"pause": pause}, {"fail": fail}]
        write_workflow(folder, do, {"undo": undo("/undo")})
        (folder / "stagedoor.yaml").write_text(config(service.port))
        running = Gateway(folder)
        ids = {"done": begin(running), "failed": begin(running, {"fail": True}), "open": begin(running, {"wait": True})}
        for name in ("done", "failed"):
            ended(running, ids[name])
        yield running, ids
        running.kill()


@pytest.mark.parametrize(
    ("which", "asked", "status", "says"),
    [
        ("open", {}, 409, "it has not ended: cancel it first"),
        ("done", {"from": "nowhere"}, 409, "it never came to 'nowhere'; it came to /do/0/a, /do/1/pause, /do/2/fail"),
        ("done", {"context": {}}, 409, "the context is edited for a task: say from which"),
        ("done", {"takeUndos": True}, 409, "from the start there is nothing to take over"),
        ("done", {"version": "9.9.9"}, 409, "there is no version 9.9.9 of test/flow"),
        ("done", {"input": "x" * 1_000_000, "context": {}, "from": "pause"}, 413, ""),
        ("failed", {"from": "fail"}, 409, "what /do/0/a did has been undone since"),
        ("done", {"from": 1}, 400, "from is a text"),
        ("done", {"dryRun": "yes"}, 400, "dryRun is true or false"),
        ("done", {"colour": "red"}, 400, "the body is an object with"),
        (None, {}, 404, "there is no such execution"),
    ],
)
def test_a_restart_that_cannot_be_says_why(
    which: str | None, asked: Json, status: int, says: str, shop: tuple[Gateway, dict[str, str]]
) -> None:
    running, ids = shop
    if status == 413:
        asked = {**asked, "context": "y" * 100_000}
    told = restart(running, ids.get(which or "", "nothing"), **asked)
    assert (told[0], says in told[1]["detail"]) == (status, True), told


def test_from_the_start_with_another_input(shop: tuple[Gateway, dict[str, str]]) -> None:
    running, ids = shop
    status, told = restart(running, ids["failed"], input={"fixed": 1})
    assert (status, told["event"], told["task"]) == (201, 0, None)
    shown = ended(running, told["execution"])
    assert (shown["status"], shown["input"], shown["output"]) == ("completed", {"fixed": 1}, {"fixed": 1})
    assert shown["origin"]["edited"] == ["input"]
