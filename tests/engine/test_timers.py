"""Points in time, and a wall clock that is put forward and back."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from stagedoor.engine.timers import Key, Timers


async def happens(look: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not look():  # noqa: ASYNC110 - what is awaited is plain callbacks
            await asyncio.sleep(0.005)


def test_a_clock_that_jumps_neither_loses_a_timer_nor_fires_one_twice() -> None:
    async def run() -> None:
        ahead, fired = 0.0, list[Key]()
        timers = Timers(asyncio.get_running_loop(), lambda: time.time() + ahead, fired.append)
        timers.start(("e", "soon"), time.time() + 0.2)
        timers.start(("e", "far"), time.time() + 3600)
        timers.start(("e", "late"), time.time() - 3600)
        await happens(lambda: fired == [("e", "late")])
        ahead = -24 * 3600.0
        await happens(lambda: fired[1:] == [("e", "soon")])
        # What is asked for afterwards goes by the new time.
        timers.start(("e", "new"), time.time() + ahead + 0.05)
        timers.start(("e", "gone"), time.time() + ahead + 0.05)
        timers.cancel(("e", "gone"))
        await happens(lambda: fired[2:] == [("e", "new")])
        assert len(timers) == 1
        # Nor is anything early once it is put right.
        ahead = 0.0
        timers.start(("e", "next"), time.time() + 0.05)
        await happens(lambda: fired[3:] == [("e", "next")])
        ahead = 2 * 3600.0
        await happens(lambda: fired[4:] == [("e", "far")])
        assert len(timers) == 0
        timers.stop()

    asyncio.run(run())
