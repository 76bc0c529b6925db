"""What has ended leaves the store when it is too old, or when an operator says so, and nothing else does."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sqlite3
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
from doors import doors
from flow import call, write
from running import Gateway, until
from service import Service
from stagedoor.cli import main
from stagedoor.engine import purge
from stagedoor.engine.definitions import Definitions
from stagedoor.engine.event_log import Append, EventLog
from stagedoor.engine.inbox import Inbox
from stagedoor.engine.retention import Retention
from stagedoor.engine.statement import Start
from stagedoor.workflow.parse import parse
from test_event_log import appended, started

DAY = 86_400.0
RULES = {
    None: {"completed": 30 * DAY, "faulted": 90 * DAY, "cancelled": 90 * DAY},
    "test/kept": {"completed": 60 * DAY, "faulted": 90 * DAY, "cancelled": 90 * DAY},
}
TABLES = ("execution", "event", "attribute", "purged")


def run_of(id: str, workflow: str, status: str | None, ended: float, events: int = 3) -> list[Append]:
    start = Start(workflow, "1.0.0", "hash", "route", None, f"key of {id}", "fingerprint")
    appends = [started(id, start=start)]
    appends += [Append(id, seq, "TimerFired", ended, '{"timer":"t"}') for seq in range(1, events)]
    appends[-1].status = status
    return appends


def rows(path: Path) -> dict[str, list[str]]:
    """Executions of each table."""
    connection = sqlite3.connect(path)
    try:
        return {
            table: [row[0] for row in connection.execute(f"SELECT DISTINCT {name} FROM {table} ORDER BY 1")]
            for table in TABLES
            for name in ["id" if table == "execution" else "execution"]
        }
    finally:
        connection.close()


@asynccontextmanager
async def opened(path: Path, now: float, rules: dict = RULES) -> AsyncIterator[tuple[EventLog, Retention]]:
    log = EventLog(path, asyncio.get_running_loop())
    retention = Retention(log, Definitions(log), lambda: now)
    retention.use(rules)
    yield log, retention
    await retention.stop()
    await log.close()


async def eventually(look: Callable[[], bool]) -> None:
    await asyncio.to_thread(until, look)


def test_each_is_kept_as_long_as_its_status_and_its_workflow_say(tmp_path: Path) -> None:
    path = tmp_path / "store.db"

    async def main() -> None:
        async with opened(path, 100 * DAY) as (log, retention):
            await appended(log, run_of("a-old", "test/flow", "completed", 69 * DAY))
            await appended(log, run_of("b-young", "test/flow", "completed", 71 * DAY))
            await appended(log, run_of("c-faulted", "test/flow", "faulted", 69 * DAY))
            await appended(log, run_of("d-faulted-old", "test/flow", "faulted", 9 * DAY))
            await appended(log, run_of("e-kept", "test/kept", "completed", 69 * DAY))
            await appended(log, run_of("f-kept-old", "test/kept", "completed", 39 * DAY))
            await appended(log, run_of("g-open", "test/flow", None, 1 * DAY))
            await appended(log, run_of("h-suspended", "test/flow", "suspended", 1 * DAY))
            left = ["b-young", "c-faulted", "e-kept", "g-open", "h-suspended"]
            retention.begin()
            await eventually(lambda: retention.purged == 3 and retention.bytes > 0)
            assert rows(path) == {"execution": left, "event": left, "attribute": [], "purged": []}
            assert log.history.with_key("test/flow", None, "key of a-old") is None
            assert await appended(log, run_of("i-again", "test/flow", None, 99 * DAY, events=1)) == [None]
            retention.use({None: dict.fromkeys(RULES[None], 1.0)})
            await eventually(lambda: rows(path)["event"] == ["g-open", "h-suspended", "i-again"])

    asyncio.run(main())


def test_commits_go_on_while_a_large_one_leaves_and_a_crash_leaves_nothing_of_it(tmp_path: Path) -> None:
    path = tmp_path / "store.db"

    async def main() -> None:
        async with opened(path, 100 * DAY) as (log, retention):
            await appended(log, run_of("large", "test/flow", "completed", 1 * DAY, events=20 * purge.ROWS))
            retention.begin()
            await eventually(lambda: retention.purged == 1)
            assert await appended(log, run_of("new", "test/flow", None, 99 * DAY, events=1)) == [None]
            assert rows(path)["purged"] == ["large"], "most of it is there still"
            assert log.history.row("large") is None
        assert rows(path)["event"] == ["large", "new"]
        async with opened(path, 100 * DAY) as (_, retention):
            retention.begin()
            await eventually(lambda: rows(path)["purged"] == [])
            assert rows(path)["event"] == ["new"]

    asyncio.run(main())


def test_the_file_becomes_smaller_while_it_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "store.db"
    monkeypatch.setattr(purge, "LEAST_FREE", 16)

    async def main() -> None:
        async with opened(path, 100 * DAY) as (log, retention):
            text = json.dumps({"timer": "x" * 3000})
            many = run_of("large", "test/flow", "completed", 1 * DAY, events=2000)
            for append in many[1:]:
                append.data = text
            await appended(log, many)
            pages, _, size = await log.history.ask(partial(purge.room, log.history._connection))
            retention.begin()
            await eventually(lambda: retention.bytes > 0)
            assert retention.bytes < pages * size / 4
            assert retention.free_bytes <= 16 * size
            assert f"stagedoor_store_bytes {retention.bytes}" in retention.metrics()

    asyncio.run(main())


def test_an_event_from_before_what_schedules_remember_is_not_there_after_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "store.db"

    async def main() -> None:
        async with opened(path, 0.0) as (log, _):
            for at in (1 * DAY, 2 * DAY):
                event = {"specversion": "1.0", "source": "shop", "id": str(at), "type": "order"}
                assert await Inbox(log, lambda at=at: at, lambda _: None).receive([event]) == 1
            later = Inbox(log, lambda: 2.5 * DAY, lambda _: None)
            later.load()
            assert [stored.at for stored in later.events] == [2 * DAY]

    asyncio.run(main())


def document(name: str, version: str, *runs: str) -> dict:
    do = [
        {f"run{n}": {"run": {"workflow": {"namespace": "test", "name": "child", "version": each}}}}
        for n, each in enumerate(runs)
    ]
    do = do or [{"only": {"set": {"a": version}}}]
    return {"document": {"dsl": "1.0.3", "namespace": "test", "name": name, "version": version}, "do": do}


def test_documents_go_that_no_execution_and_no_document_needs(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    versions = [parse(document("child", version)) for version in ("1.0.0", "2.0.0", "3.0.0", "4.0.0")]
    parent = parse(document("parent", "1.0.0", "2.0.0"))

    async def main() -> None:
        async with opened(path, 100 * DAY) as (log, _):
            await Definitions(log).keep([*versions, parent])
            for number, each in enumerate(versions):
                start = Start(each.key, each.version, each.hash, "route")
                status, at = (None, 99 * DAY) if number == 2 else ("completed", 1 * DAY)
                done = Append(f"e{number}", 1, "TimerFired", at, '{"timer":"t"}', status=status)
                await appended(log, [started(f"e{number}", start=start), done])
        log = EventLog(path, asyncio.get_running_loop())
        definitions = Definitions(log)
        await definitions.keep([parent])
        retention = Retention(log, definitions, lambda: 100 * DAY)
        retention.use(RULES)
        retention.begin()
        await eventually(lambda: retention.bytes > 0)
        assert definitions.version("test/child", "1.0.0") is None, "nobody needs it"
        assert definitions.version("test/child", "2.0.0") is not None, "another document runs it"
        assert definitions.version("test/child", "3.0.0") is not None, "an execution runs by it"
        assert definitions.version("test/child", "4.0.0") is None
        await definitions.keep([versions[0]])
        assert definitions.version("test/child", "1.0.0") is not None
        await retention.stop()
        await log.close()

    asyncio.run(main())


def test_an_operator_removes_what_has_ended_and_its_keys_are_free_again(
    gateway: Callable[..., Gateway], service: Service, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, [{"only": call("/a")}])
    write(tmp_path, [{"only": call("/hang")}], name="waiting")
    running = gateway(doors(["flow", "waiting"], service.port))

    def command(*arguments: str) -> str:
        with contextlib.chdir(tmp_path):
            code = main(["executions", "purge", "--admin", running.admin_url, *arguments])
        said = capsys.readouterr()
        assert (code == 0) == (not said.err)
        return said.out + said.err

    key = {"idempotency-key": "one"}
    assert running.request("POST", "/flow", {}, key).json["number"] == 1
    assert running.request("POST", "/flow", {}, key).json["number"] == 1
    waiting = running.request("POST", "/waiting", {}, {"prefer": "respond-async"})
    assert waiting.status == 202
    assert "say which executions" in command()
    until(lambda: "1 executions would be removed" in command("--workflow", "test/flow", "--dry-run"))
    assert "0 executions would be removed" in command("--before", "1h", "--dry-run")
    assert "0 executions would be removed" in command("--status", "faulted", "--dry-run")
    assert running.request("POST", "/flow", {}, key).json["number"] == 1
    assert "1 executions are being removed" in command("--before", "0s")
    until(lambda: "stagedoor_executions_purged_total 1\n" in running.metrics())
    [left] = running.admin("/executions").json["executions"]
    assert left["workflow"] == "test/waiting"
    assert running.request("POST", "/flow", {}, key).json["number"] == 2
    for body in ({}, {"status": "running"}, {"before": "soon"}, {"workflow": 1}, {"all": True}, []):
        assert running.admin("/executions/purge", "POST", body).status == 400
