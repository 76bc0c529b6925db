"""Turns of machines: what events lead to is worked off in slices, so that nobody holds up the loop.

Where the time of one turn of the loop is over, the rest waits for the next one, each execution in its turn. When a
machine works changes nothing of what it does.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from time import perf_counter

from stagedoor.engine.execution import Committed, Execution

SLICE_S = 0.005
"""Time of all machines for what was committed together, or of those that wait for their turn in one turn of the loop; a
task that has begun is not interrupted."""


class Turns:
    """``feed`` hands an event to the machine of an execution, or None to go on with the last one; ``after`` is called
    once a turn in which it did so on its own account."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        feed: Callable[[Execution, Committed | None], None],
        after: Callable[[], None],
    ) -> None:
        self._loop, self._feed, self._after = loop, feed, after
        self._queue: deque[Execution] = deque()
        self._end = 0.0
        self._open = False
        self._asked = False
        """For the next turn."""

    def __len__(self) -> int:
        """Executions that wait for their turn."""
        return len(self._queue)

    def over(self) -> bool:
        """Whether the time is over."""
        return perf_counter() >= self._end

    def take(self, execution: Execution, event: Committed) -> None:
        """Now if there is time, else in turn; one event after the other."""
        self._begin()
        if execution.in_turn or self.over():
            execution.backlog.append(event)
            self._wait(execution)
        else:
            self._feed(execution, event)
            if _busy(execution):
                self._wait(execution)

    def rest(self) -> None:
        """What was committed together is fed: if none of it waits for its turn, time counts anew for what is next."""
        if not self._queue:
            self._open = False

    async def settle(self, execution: Execution) -> None:
        """Until its machine has done all that its committed events lead to."""
        while execution.in_turn:  # noqa: ASYNC110 - it is a matter of turns of the loop
            await asyncio.sleep(0)

    def resume(self, execution: Execution) -> None:
        """See to it that one whose machine is busy has its next turn."""
        if _busy(execution):
            self._begin()
            self._wait(execution)

    def _wait(self, execution: Execution) -> None:
        if not execution.in_turn:
            execution.in_turn = True
            self._queue.append(execution)
            self._ask()

    def _begin(self) -> None:
        if not self._open:
            self._open = True
            self._end = perf_counter() + SLICE_S

    def _ask(self) -> None:
        if not self._asked:
            self._asked = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._asked = self._open = False
        self._begin()
        while self._queue and not self.over():
            execution = self._queue.popleft()
            self._feed(execution, None if _busy(execution) else execution.backlog.pop(0))
            if execution.backlog or _busy(execution):
                self._queue.append(execution)
            else:
                execution.in_turn = False
        if self._queue:
            self._ask()
        else:
            self._open = False
        self._after()


def slice_of_time() -> Callable[[], bool]:
    """Says when a machine that works outside of the turns has had as much time as it may."""
    end = perf_counter() + SLICE_S
    return lambda: perf_counter() >= end


def _busy(execution: Execution) -> bool:
    machine = execution.machine
    return machine is not None and machine.busy and execution.broken is None
