"""Run by test_event_log.py in a process of its own: a limit on file size stands for a disk that is full."""

from __future__ import annotations

import asyncio
import resource
import sys
from dataclasses import replace
from pathlib import Path

from stagedoor.engine.event_log import Append, EventLog
from stagedoor.engine.store import StoreError
from test_event_log import START, appended, started


def limit(soft: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, resource.RLIM_INFINITY))


async def main(path: Path) -> None:
    log = EventLog(path, asyncio.get_running_loop())
    assert await appended(log, [started("e1")]) == [None]
    limit(path.with_name(path.name + "-wal").stat().st_size)

    outcome = Append("e1", 1, "TimerFired", 2.0, '{"timer":"t"}')
    child = started("c1", start=replace(START, child=True))
    kept = asyncio.ensure_future(appended(log, [outcome, child]))
    (error,) = await appended(log, [started("e2")])
    assert isinstance(error, StoreError), error
    assert "cannot be written" in str(error), error
    # What came of an execution that was refused is not written later, without its beginning.
    end = Append("e3", 1, "ExecutionCompleted", 2.0, '{"output":1}', status="completed")
    beginning = started("e3")
    refused = asyncio.ensure_future(appended(log, [beginning]))
    log.append([end])
    assert isinstance((await refused)[0], StoreError)
    assert log.broken
    assert not kept.done()

    limit(resource.RLIM_INFINITY)
    assert await kept == [None, None]
    assert log.broken is None
    assert await appended(log, [started("e2")]) == [None]
    assert len(log.history.events("e1")) == 2
    assert len(log.history.events("c1")) == 1
    await log.close()


asyncio.run(main(Path(sys.argv[1])))
