"""Python functions as tasks: typed, timed, cancelled, undone, and run again after a crash with the same key."""

from __future__ import annotations

import contextlib
import http.client
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flow import config, write
from running import Gateway, until
from service import Service
from stagedoor.cli import main

Start = Callable[..., Gateway]
MODULE = """
import asyncio
import os
import time
from pathlib import Path

from pydantic import BaseModel

from stagedoor.activity import ActivityFailed, Context, activity

HERE = Path(__file__).parent


class Order(BaseModel):
    sku: str
    quantity: int = 1


class Label(BaseModel):
    text: str
    key: str


def keep(line: str) -> None:
    with (HERE / "done").open("a") as file:
        file.write(line + "\\n")


@activity
async def label(order: Order, context: Context) -> Label:
    keep(context.idempotency_key)
    await asyncio.sleep(0)
    return Label(text=f"{order.quantity} {order.sku}", key=context.idempotency_key)


@activity(name="in_thread", timeout=20)
def threaded(order: Order) -> dict:
    return {"sku": order.sku, "main": __import__("threading").current_thread().name}


@activity
async def refuse(value: dict) -> None:
    raise ActivityFailed("no more mugs", status=409, title="Sold out", type="https://shop.example/sold-out")


@activity
async def crash(value: dict) -> None:
    raise RuntimeError("a mistake")


@activity
async def lost_file(value: dict) -> None:
    open(os.fsdecode(b"/nowhere/\\xff"))


@activity
async def odd(value: dict) -> dict:
    deep = []
    for _ in range(300):
        deep = [deep]
    found = {"half": chr(0xD800), "long": 10**2000, "deep": deep}
    return {"found": found[value["what"]]}


@activity
async def wrong(value: dict) -> int:
    return "seven"


@activity(timeout=0.2)
async def slow(value: dict) -> None:
    keep("slow")
    await asyncio.sleep(60)


@activity(heartbeat=0.3, timeout=30)
def silent(value: dict, context: Context) -> None:
    while not context.cancelled:
        time.sleep(0.01)
    keep("told to stop")


@activity(heartbeat=0.3, timeout=30)
def beating(value: dict, context: Context) -> str:
    for _ in range(8):
        time.sleep(0.1)
        context.heartbeat()
    return "done"


@activity
async def forever(value: dict) -> None:
    keep("began")
    try:
        await asyncio.sleep(600)
    finally:
        keep("cancelled")


@activity
async def unlabel(value: dict) -> None:
    keep(f"unlabel {value['text']}")


@activity
async def die(value: dict, context: Context) -> str:
    keep(context.idempotency_key)
    if len((HERE / "done").read_text().splitlines()) == 1:
        os._exit(9)
    return "alive"
"""


def run(name: str, arguments: Any = "${ . }", **more: Any) -> Any:
    return {"call": "activity", "with": {"name": name, "arguments": arguments}, **more}


@pytest.fixture
def start(gateway: Start, service: Service, tmp_path: Path) -> Callable[..., Gateway]:
    (tmp_path / "own_activities.py").write_text(MODULE)
    settings = config(service.port, extra="engine: {activities: {modules: [own_activities]}}")

    def begin(*tasks: Any) -> Gateway:
        write(tmp_path, [{f"t{number}": task} for number, task in enumerate(tasks)])
        return gateway(settings)

    return begin


def done(tmp_path: Path) -> list[str]:
    file = tmp_path / "done"
    return file.read_text().splitlines() if file.exists() else []


def test_a_coroutine_and_a_thread_take_and_give_what_their_types_say(start: Start, tmp_path: Path) -> None:
    running = start(run("label"), run("in_thread", {"sku": "${ .text }"}))
    answer = running.request("POST", "/flow", {"sku": "mug", "quantity": 2})
    assert answer.status == 200, answer.body
    assert answer.json["sku"] == "2 mug"
    assert answer.json["main"].startswith("activity")
    assert done(tmp_path)[0].endswith("/do/0/t0")


@pytest.mark.parametrize(
    ("name", "input", "status", "title", "detail"),
    [
        ("label", {"quantity": 1}, 400, "Arguments not valid", "sku: Field required"),
        ("refuse", {}, 409, "Sold out", "no more mugs"),
        ("crash", {}, 500, "RuntimeError", "a mistake"),
        ("wrong", {}, 500, "Result not valid", "the value: Input should be a valid integer"),
        ("lost_file", {}, 500, "FileNotFoundError", "/nowhere/"),
        ("odd", {"what": "half"}, 500, "Result not valid", "half a character"),
        ("odd", {"what": "long"}, 500, "Result not valid", "more than 4096 bits"),
        ("odd", {"what": "deep"}, 500, "Result not valid", "depth exceeded"),
    ],
)
def test_what_a_function_raises_is_the_error_of_its_task(
    name: str, input: Any, status: int, title: str, detail: str, start: Start
) -> None:
    running = start({"try": [{"do": run(name)}], "catch": {"as": "e", "do": [{"tell": {"set": {"e": "${ $e }"}}}]}})
    error = running.request("POST", "/flow", input).json["e"]
    assert (error["status"], error["title"]) == (status, title)
    assert detail in error["detail"]
    assert error["instance"] == "/do/0/t0/try/0/do"


@pytest.mark.parametrize(("name", "says"), [("slow", "no result after 0.2 s"), ("silent", "no heartbeat for 0.3 s")])
def test_one_that_takes_too_long_may_have_done_something(name: str, says: str, start: Start, tmp_path: Path) -> None:
    running = start(run(name))
    answer = running.request("POST", "/flow", {})
    assert answer.status == 504
    assert says in answer.json["detail"]
    # It was asked again with the same key before it was given up; what runs in a thread was told to stop each time.
    until(lambda: len(done(tmp_path)) == 3)


def test_one_that_says_that_it_works_is_let_work(start: Start) -> None:
    assert start(run("beating")).request("POST", "/flow", {}).json == "done"


def test_a_cancelled_execution_waits_for_no_function_that_nobody_undoes(start: Start, tmp_path: Path) -> None:
    running = start({"fork": {"compete": True, "branches": [{"a": run("forever")}, {"b": run("beating")}]}})
    answer = running.request("POST", "/flow", {})
    assert answer.status == 200
    until(lambda: done(tmp_path) == ["began", "cancelled"])


def test_a_function_undoes_what_another_did(start: Start, tmp_path: Path) -> None:
    undo = {"stagedoor/compensate": run("unlabel")}
    running = start(run("label", metadata=undo), run("refuse"))
    answer = running.request("POST", "/flow", {"sku": "mug"})
    assert (answer.status, answer.json["compensation"]["status"]) == (409, "complete")
    assert done(tmp_path)[1:] == ["unlabel 1 mug"]


def test_after_a_crash_it_runs_again_with_the_same_key(start: Start, tmp_path: Path) -> None:
    running = start(run("die"))
    with contextlib.suppress(OSError, http.client.HTTPException):
        running.request("POST", "/flow", {})
    running.process.wait(30)
    again = start(run("die"))
    until(lambda: again.admin("/executions").json["executions"][0]["status"] == "completed")
    first, second = done(tmp_path)
    assert first == second


@pytest.mark.parametrize(
    ("module", "name", "says"),
    [
        ("own_activities", "lable", "there is no activity 'lable'; did you mean 'label'?"),
        ("not_there", "label", "the module 'not_there' cannot be imported: ModuleNotFoundError"),
        ("json", "label", "the module 'json' has no activity"),
        ("twice", "label", "the activity 'label' of module 'twice' has a name that another one has"),
        ("greedy", "label", "it takes one value beside the context"),
    ],
)
def test_check_finds_what_cannot_be_called(
    module: str, name: str, says: str, service: Service, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "own_activities.py").write_text(MODULE)
    begin = "from stagedoor.activity import activity\n@activity\n"
    (tmp_path / "twice.py").write_text(begin + "def label(): ...\n")
    (tmp_path / "greedy.py").write_text(begin + "def label(a, b): ...\n")
    modules = json.dumps(["own_activities", module] if module == "twice" else [module])
    (tmp_path / "stagedoor.yaml").write_text(
        config(service.port, extra=f"engine: {{activities: {{modules: {modules}}}}}")
    )
    write(tmp_path, [{"t": run(name)}])
    assert main(["check", str(tmp_path / "stagedoor.yaml")]) == 1
    assert says in capsys.readouterr().err
