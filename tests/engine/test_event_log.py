"""The event log: what is acknowledged is on the disk, and nothing else is."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest
from stagedoor.engine.event_log import BATCH, Append, EventLog
from stagedoor.engine.record import decode, encode
from stagedoor.engine.search import Search, find
from stagedoor.engine.statement import Start
from stagedoor.engine.store import StoreError
from stagedoor.workflow.events import CallCompleted, ExecutionStarted

HERE = Path(__file__).parent
START = Start("shop/order", "1.0.0", "hash", "place-order", "web", None, None)


def started(execution: str, done=None, start: Start = START) -> Append:
    event = ExecutionStarted(1.0, execution, "hash", {"sku": "chair"})
    return Append(execution, 0, "ExecutionStarted", 1.0, encode(event), done, start)


async def appended(log: EventLog, appends: list[Append]) -> list[StoreError | None]:
    loop, results = asyncio.get_running_loop(), []
    finished = loop.create_future()

    def done(error: StoreError | None) -> None:
        results.append(error)
        if len(results) == len(appends):
            finished.set_result(None)

    for append in appends:
        append.done = done
    log.append(appends)
    await asyncio.wait_for(finished, 30)
    return results


def test_an_acknowledged_event_is_read_back_as_it_was(tmp_path: Path) -> None:
    event = CallCompleted(2.0, "/do/0/a#1", 201, {"text": "\ud800 ü \x00", "big": 2**70, "list": [None, True, 1.5]})

    async def main() -> None:
        log = EventLog(tmp_path / "store.db", asyncio.get_running_loop())
        await appended(log, [started("e1"), Append("e1", 1, "CallCompleted", 2.0, encode(event))])
        await log.close()
        again = EventLog(tmp_path / "store.db", asyncio.get_running_loop())
        (row,) = again.history.open()
        assert (row.id, row.workflow, row.status, row.consumer) == ("e1", "shop/order", "running", "web")
        assert again.history.events("e1")[1] == event
        await again.close()

    asyncio.run(main())


def test_what_is_not_json_is_refused_before_it_is_written() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        encode(CallCompleted(2.0, "call", 200, float("nan")))
    assert decode("TimerFired", 3.0, '{"timer":"t"}').at == 3.0


def test_many_appends_share_a_commit(tmp_path: Path) -> None:
    async def main() -> None:
        log = EventLog(tmp_path / "store.db", asyncio.get_running_loop())
        results = await appended(log, [started(f"e{n:04}") for n in range(1000)])
        assert results == [None] * 1000
        assert log.events == 1000
        assert log.waiting == 0
        assert BATCH == 512
        assert 'le="+Inf"} 2\n' in log.batch_sizes.render("batch", "")
        assert len(log.history.open()) == 1000
        await log.close()

    asyncio.run(main())


def test_a_status_moves_an_execution_out_of_the_open_ones(tmp_path: Path) -> None:
    async def main() -> None:
        log = EventLog(tmp_path / "store.db", asyncio.get_running_loop())
        await appended(log, [started("e1"), started("e2")])
        await appended(log, [Append("e1", 1, "ExecutionCompleted", 2.0, '{"output":7}', status="completed")])
        assert [row.id for row in log.history.open()] == ["e2"]
        asked = Search(workflow="shop/order", status="completed")
        [(row, updated)] = (await log.history.query(lambda store: find(store, asked, None, 10))).rows
        assert (row.id, row.status, row.ended, updated) == ("e1", "completed", 2.0, 2.0)
        await log.close()

    asyncio.run(main())


def test_an_execution_that_ends_as_it_begins_is_never_among_the_open_ones(tmp_path: Path) -> None:
    async def main() -> None:
        log = EventLog(tmp_path / "store.db", asyncio.get_running_loop())
        ended = Append("e1", 1, "ExecutionCompleted", 2.0, '{"output":7}', status="completed")
        await appended(log, [started("e1"), ended, started("e2")])
        assert [row.id for row in log.history.open()] == ["e2"]
        row = log.history.row("e1")
        assert row is not None
        assert (row.status, row.ended) == ("completed", 2.0)
        await log.close()

    asyncio.run(main())


def test_the_first_execution_with_a_key_is_found_by_it(tmp_path: Path) -> None:
    async def main() -> None:
        log = EventLog(tmp_path / "store.db", asyncio.get_running_loop())
        anonymous = Start("shop/order", "1.0.0", "hash", "place-order", None, "k1", "f")
        named = Start("shop/order", "1.0.0", "hash", "place-order", "web", "k1", "f")
        assert await appended(log, [started("e1", start=anonymous), started("e2", start=named)]) == [None, None]
        assert log.history.with_key("shop/order", None, "k1").id == "e1"
        assert log.history.with_key("shop/order", "web", "k1").id == "e2"
        assert log.history.with_key("shop/order", "app", "k1") is None
        await log.close()

    asyncio.run(main())


def test_a_second_process_on_the_same_store_is_refused_and_told_who_holds_it(tmp_path: Path) -> None:
    program = (
        "import asyncio, sys; from pathlib import Path; from stagedoor.engine.event_log import EventLog\n"
        "async def main(): EventLog(Path(sys.argv[1]), asyncio.get_running_loop())\n"
        "asyncio.run(main())"
    )

    async def main() -> None:
        import os

        log = EventLog(tmp_path / "store.db", asyncio.get_running_loop())
        second = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-c", program, str(tmp_path / "store.db")],
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert second.returncode != 0
        assert f"store.db is in use by process {os.getpid()}" in second.stderr
        await log.close()
        await EventLog(tmp_path / "store.db", asyncio.get_running_loop()).close()

    asyncio.run(main())


@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("CREATE TABLE other (x)", "is a SQLite database of something else"),
        ("CREATE TABLE schema_version (version); INSERT INTO schema_version VALUES (99)", "has schema version 99"),
    ],
)
def test_a_store_of_another_kind_is_refused(tmp_path: Path, statement: str, message: str) -> None:
    connection = sqlite3.connect(tmp_path / "store.db")
    connection.executescript(statement)
    connection.close()

    async def main() -> None:
        with pytest.raises(StoreError, match=message):
            EventLog(tmp_path / "store.db", asyncio.get_running_loop())

    asyncio.run(main())


def test_a_file_that_is_no_database_and_a_folder_that_cannot_be_made_are_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("not a database, but long enough to look at" * 100)

    async def main() -> None:
        with pytest.raises(StoreError, match="text cannot be opened: file is not a database"):
            EventLog(tmp_path / "text", asyncio.get_running_loop())
        with pytest.raises(StoreError, match=r"cannot be opened: (File exists|Not a directory)"):
            EventLog(tmp_path / "text" / "store.db", asyncio.get_running_loop())

    asyncio.run(main())


def test_a_full_disk_refuses_starts_and_loses_no_outcome(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, str(HERE / "full_disk.py"), str(tmp_path / "store.db")],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr


def test_a_crash_after_n_events_leaves_exactly_those(tmp_path: Path) -> None:
    program = (
        "import asyncio, sys; sys.path.insert(0, sys.argv[2])\n"
        "from pathlib import Path; from stagedoor.engine.event_log import EventLog\n"
        "from test_event_log import appended, started\n"
        "async def main():\n"
        "    log = EventLog(Path(sys.argv[1]), asyncio.get_running_loop(), crash_after=7)\n"
        "    await appended(log, [started(f'e{n}') for n in range(5)])\n"
        "    await appended(log, [started(f'f{n}') for n in range(5)])\n"
        "asyncio.run(main())"
    )
    crashed = subprocess.run([sys.executable, "-c", program, str(tmp_path / "s.db"), str(HERE)], timeout=30)
    assert crashed.returncode == 137

    async def main() -> None:
        log = EventLog(tmp_path / "s.db", asyncio.get_running_loop())
        assert [row.id for row in log.history.open()] == ["e0", "e1", "e2", "e3", "e4", "f0", "f1"]
        await log.close()

    asyncio.run(main())
