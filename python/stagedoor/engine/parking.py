"""Executions that wait for points in time alone are parked: what they wait for is in a table of the store, and their
machines are out of memory until something happens to them.

A row of that table counts as long as its execution has no event that came after it, so nothing has to be taken back in
time: what is over is deleted at leisure.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from heapq import heappop, heappush
from itertools import count
from typing import Protocol

from stagedoor.engine.definitions import Definitions
from stagedoor.engine.event_log import Append, EventLog
from stagedoor.engine.execution import Execution
from stagedoor.engine.history import Row
from stagedoor.engine.recovery import revive
from stagedoor.engine.store import StoreError
from stagedoor.engine.telling import Wanted
from stagedoor.engine.timers import Key
from stagedoor.workflow.commands import RegisterCompensation, StartTimer

REST_S = 2.0
"""An execution is looked at when it has waited so long, and parked if it has longer than that to go."""
LOOK_S = 0.5
"""Between two looks."""
AGAIN_S = 600.0
"""What cannot be parked is looked at again, each time after twice as long, at most this."""
ROWS = 128
"""Executions of one statement."""
ROUND = 512
"""Executions of one look."""

Timers = dict[str, float]


class Engine(Protocol):
    """What parking needs of it."""

    telling: Wanted

    def wait_until(self, key: Key, at: float, longest: float) -> None:
        """``timer_fired`` is called for it then, and in so many seconds at the latest."""


class Parking:
    def __init__(
        self,
        engine: Engine,
        event_log: EventLog,
        definitions: Definitions,
        loop: asyncio.AbstractEventLoop,
        clock: Callable[[], float],
    ) -> None:
        self._engine, self._log, self._definitions = engine, event_log, definitions
        self._loop, self._clock = loop, clock
        self._resting: list[tuple[float, int, float, Execution]] = []
        """A heap: when to look at it, a number, and how long it had been left alone. Each execution once."""
        self._watched: set[str] = set()
        self._order = count()
        self._over: list[str] = []
        """Executions whose rows can be deleted."""
        self._found: dict[str, tuple[int, float, Timers]] = {}
        """Between ``load`` and ``begin``: the number of the next event, the time of the last one, and the timers."""
        self._handle: asyncio.TimerHandle | None = None
        self._parking: asyncio.Task[None] | None = None
        self._stopped = False
        self.parked = 0
        """Executions that are parked now."""

    # At the start.

    def load(self) -> None:
        for execution, timer, at, seq, updated in self._log.history.timers():
            if updated is None:
                self._over.append(execution)
            else:
                self._found.setdefault(execution, (seq, updated, {}))[2][timer] = at

    def recovered(self, row: Row) -> Execution | None:
        """The execution, if it was parked."""
        found = self._found.get(row.id)
        if found is None:
            return None
        self.parked += 1
        seq, updated, _ = found
        return Execution(row, None, seq=seq, updated=updated, started=True, parked=True, recovered=True)

    def begin(self) -> None:
        for execution, (_, updated, timers) in self._found.items():
            for timer, at in timers.items():
                self._engine.wait_until((execution, timer), at, at - updated)
        self._found = {}
        self._look_later()

    # While running.

    def resting(self, execution: Execution, until: float) -> None:
        """It has begun to wait for a point in time."""
        if until - self._clock() > 2 * REST_S:
            self._later(execution, REST_S)

    def wake(self, execution: Execution) -> list[Append]:
        """Something is about to happen to it. sqlite3.Error if its history cannot be read, or what else keeps its
        machine from going on."""
        owed = revive(execution, self._log.recall, self._definitions, self._engine.telling)
        execution.parked = False
        self.parked -= 1
        self._over.append(execution.id)
        self._look_later()
        return owed

    async def stop(self, executions: Iterable[Execution]) -> None:
        """Park all of them that can be, so that the next start has it easier."""
        if self._parking is not None:
            await self._parking
        if self._handle is not None:
            self._handle.cancel()
        self._resting, self._stopped = [], True
        chosen = {
            execution.id: (execution, execution.seq, timers)
            for execution in executions
            if self._usable(execution) and (timers := self._waits(execution)) is not None
        }
        await self._park(chosen, self._over)

    def _later(self, execution: Execution, delay: float) -> None:
        if self._stopped or execution.id in self._watched:
            return
        self._watched.add(execution.id)
        heappush(self._resting, (self._loop.time() + delay, next(self._order), delay, execution))
        self._look_later()

    def _look_later(self, delay: float = LOOK_S) -> None:
        if not self._stopped and self._handle is None and self._parking is None and (self._resting or self._over):
            self._handle = self._loop.call_later(delay, self._look)

    def _look(self) -> None:
        self._handle = None
        chosen: dict[str, tuple[Execution, int, Timers]] = {}
        now = self._loop.time()
        while self._resting and self._resting[0][0] <= now and len(chosen) < ROUND:
            _, _, delay, execution = heappop(self._resting)
            self._watched.discard(execution.id)
            if not self._usable(execution):
                continue
            timers = self._waits(execution)
            if timers is None:
                self._later(execution, min(2 * delay, AGAIN_S))
            elif min(timers.values()) - self._clock() > REST_S:
                chosen[execution.id] = (execution, execution.seq, timers)
        over, self._over = self._over[:ROUND], self._over[ROUND:]
        if chosen or over:
            self._parking = self._loop.create_task(self._park(chosen, over))
        else:
            self._look_later()

    def _usable(self, execution: Execution) -> bool:
        """Not ended, not broken, not being migrated, and with nothing to do."""
        return (
            execution.machine is not None
            and execution.final is None
            and execution.broken is None
            and execution.kept is None
            and not (execution.in_turn or execution.machine.busy)
        )

    def _waits(self, execution: Execution) -> Timers | None:
        """The points in time that it waits for, if it waits for nothing else. What it only tells the log is there."""
        machine = execution.machine
        if machine is None or execution.calls or machine.status != "waiting":
            return None
        pending = [command for command in machine.pending() if not isinstance(command, RegisterCompensation)]
        timers = {command.id: command.at for command in pending if isinstance(command, StartTimer)}
        return timers if len(timers) == len(pending) else None

    async def _park(self, chosen: dict[str, tuple[Execution, int, Timers]], over: Sequence[str]) -> None:
        rows = [
            (execution.id, timer, at, seq) for execution, seq, timers in chosen.values() for timer, at in timers.items()
        ]
        kept: set[str] = set()
        try:
            await self._log.run(lambda connection: kept.update(_write(connection, over, rows)))
        except StoreError:
            self._over += over
            for execution, _, _ in chosen.values():
                self._later(execution, REST_S)
        else:
            for execution, seq, _ in chosen.values():
                # Whatever has happened to it meanwhile has appended an event.
                if execution.id in kept and execution.seq == seq and self._usable(execution):
                    execution.machine, execution.parked = None, True
                    self.parked += 1
        self._parking = None
        self._look_later(0 if max(len(chosen), len(over)) == ROUND else LOOK_S)


def _write(
    connection: sqlite3.Connection, over: Sequence[str], rows: Sequence[tuple[str, str, float, int]]
) -> set[str]:
    """The executions that are in the log to their last event, and are parked now."""
    kept: set[str] = set()
    for first in range(0, len(over), ROWS):
        some = over[first : first + ROWS]
        connection.execute(f"DELETE FROM timer WHERE execution IN ({','.join('?' * len(some))})", some)
    for first in range(0, len(rows), ROWS):
        chunk = rows[first : first + ROWS]
        found = connection.execute(
            f"INSERT OR REPLACE INTO timer SELECT * FROM (VALUES {','.join(['(?,?,?,?)'] * len(chunk))}) "
            "WHERE column4 = (SELECT max(seq) + 1 FROM event WHERE execution = column1) RETURNING execution",
            [value for row in chunk for value in row],
        )
        kept.update(execution for (execution,) in found.fetchall())
    return kept
