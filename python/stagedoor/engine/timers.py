"""Points in time that executions wait for: one heap, one timer of the loop.

They are not stored: a machine that is read back asks for them again, and one whose time has passed fires at once.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from heapq import heapify, heappop, heappush
from itertools import count

LOOK_S = 1.0
"""The wall clock may be set while the loop sleeps: look at it at least this often."""
AT_ONCE = 200
"""Timers fired in one turn of the loop: many that are due together leave room for others."""
JUMP_S = 0.5
"""Less is no jump of the wall clock, but its correction little by little."""

Key = tuple[str, str]


class Timers:
    """``fire`` is called once for each key (execution, timer) whose time, in seconds since the epoch, has come.

    A wall clock that is put forward makes timers fire at once whose time has come by it, as after a sleep of the
    machine. One that is put back does not make them wait for longer: they fire when so much time is over as there was,
    or at their time if it is put right again before.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, clock: Callable[[], float], fire: Callable[[Key], None]
    ) -> None:
        self._loop, self._clock, self._fire = loop, clock, fire
        self._at: dict[Key, float] = {}
        """By the wall clock."""
        self._latest: dict[Key, float] = {}
        """By the loop's, which is never set: then it fires, whatever the wall clock says."""
        self._heap: list[tuple[float, int, Key]] = []
        """By the loop's clock."""
        self._order = count()
        self._handle: asyncio.TimerHandle | None = None
        self._offset = clock() - loop.time()
        """Of the wall clock."""

    def __len__(self) -> int:
        return len(self._at)

    def start(self, key: Key, at: float, longest: float = math.inf) -> None:
        """``longest``: seconds from now after which it fires in any case. What is read from the store was asked for by
        a clock that may have been put back since."""
        self._heed_jump()
        latest = self._loop.time() + min(at - self._clock(), longest)
        self._at[key], self._latest[key] = at, latest
        heappush(self._heap, (latest, next(self._order), key))
        if self._heap[0][2] == key:
            self._arm()

    def cancel(self, key: Key) -> None:
        self._at.pop(key, None)
        self._latest.pop(key, None)
        if len(self._heap) > 2 * len(self._at) + 64:
            self._heap = [entry for entry in self._heap if self._latest.get(entry[2]) == entry[0]]
            heapify(self._heap)

    def stop(self) -> None:
        self._at.clear()
        self._latest.clear()
        self._heap.clear()
        if self._handle is not None:
            self._handle.cancel()

    def _heed_jump(self) -> None:
        offset = self._clock() - self._loop.time()
        forward = offset - self._offset
        if abs(forward) < JUMP_S:
            return
        self._offset = offset
        if forward > 0:
            self._latest = {key: min(self._latest[key], at - offset) for key, at in self._at.items()}
            self._heap = [(latest, next(self._order), key) for key, latest in self._latest.items()]
            heapify(self._heap)

    def _arm(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None
        if self._heap:
            delay = self._heap[0][0] - self._loop.time()
            self._handle = self._loop.call_later(min(max(delay, 0.0), LOOK_S), self._look)

    def _look(self) -> None:
        self._heed_jump()
        now = self._loop.time()
        fired = 0
        try:
            while self._heap and self._heap[0][0] <= now and fired < AT_ONCE:
                latest, _, key = heappop(self._heap)
                if self._latest.get(key) == latest:
                    del self._at[key], self._latest[key]
                    fired += 1
                    self._fire(key)
        finally:
            self._arm()
