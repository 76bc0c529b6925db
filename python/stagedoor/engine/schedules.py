"""Starting workflows by their schedules: at most once for each tick, also across restarts.

A tick is written in the same transaction as the start. Of the times that were missed while nothing ran, the first one
is made up for, once; events that came in are looked at again.
"""

from __future__ import annotations

import asyncio
import logging
import math
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Protocol

from stagedoor.engine.event_log import EventLog
from stagedoor.engine.execution import Execution, when
from stagedoor.engine.inbox import MAX_EVENTS, Inbox, Stored
from stagedoor.engine.timers import Key, Timers
from stagedoor.workflow.definition import Definition
from stagedoor.workflow.schedule import SHORTEST, Gathering, Schedule

SINCE = "since"
"""The tick that says from when on a schedule is there."""
MAX_GATHERINGS = 1000
"""Of one workflow: sets of events that are not complete; the oldest go first."""
KEEP_S = 2 * 24 * 3600.0
"""Ticks are remembered at least as long; the last one of each workflow longer."""
PRUNE_S = 3600.0
BACK_S = 3 * 3600.0
"""By so much the wall clock may be put back without a time being started for again. Where it is put back by more, it
was wrong before, and times count from where it is now."""

Json = Any
log = logging.getLogger("stagedoor.engine")


class Engine(Protocol):
    open: dict[str, Execution]

    def start_scheduled(self, definition: Definition, input: Json, ticks: tuple[tuple[str, float], ...]) -> str | None:
        """The id of the execution; None if none can be started now."""


@dataclass(slots=True)
class Scheduled:
    definition: Definition
    schedule: Schedule
    since: float
    last: str | None = None
    """The latest execution that it started, with ``after``."""
    gatherings: list[Gathering] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    """Events that were used."""
    due: float = 0.0
    """The latest time that it was started for, or, with ``after``, that of its latest tick."""


class Schedules:
    def __init__(
        self,
        engine: Engine,
        event_log: EventLog,
        inbox: Inbox,
        loop: asyncio.AbstractEventLoop,
        clock: Callable[[], float],
    ) -> None:
        self.started = 0
        self.skipped = 0
        self._engine, self._log, self._inbox, self._clock, self._loop = engine, event_log, inbox, clock, loop
        self._timers = Timers(loop, clock, self._fired)
        self._scheduled: dict[str, Scheduled] = {}
        self._begun = False
        self._definitions: Mapping[str, Definition] = {}
        self._pruned = 0.0

    def use(self, definitions: Mapping[str, Definition]) -> None:
        """From now on these count."""
        self._definitions = definitions
        if self._begun:
            self._set()

    def begin(self) -> None:
        """Once executions are read back."""
        self._begun = True
        self._set()

    def stop(self) -> None:
        self._timers.stop()
        self._scheduled.clear()

    def arrived(self, stored: Stored) -> None:
        """An event is in the inbox."""
        for scheduled in self._scheduled.values():
            if scheduled.schedule.on is not None:
                self._offer(scheduled, stored)

    def ended(self, execution: Execution) -> None:
        scheduled = self._scheduled.get(execution.row.workflow)
        if scheduled is not None and scheduled.schedule.after is not None and scheduled.last == execution.id:
            self._wait(scheduled, scheduled.schedule.again(self._clock()))

    def _set(self) -> None:
        wanted = {key: each for key, each in self._definitions.items() if each.schedule is not None}
        for key in [key for key in self._scheduled if key not in wanted]:
            del self._scheduled[key]
            self._timers.cancel((key, "tick"))
        now, known = self._clock(), self._log.history.ticks_since(SINCE)
        gone, new = [key for key in known if key not in wanted], [key for key in wanted if key not in known]
        if gone or new or now - self._pruned > PRUNE_S:
            self._pruned = now
            task = self._loop.create_task(self._log.run(partial(_remember, gone, new, now)))
            task.add_done_callback(_told)
        for key, definition in wanted.items():
            old = self._scheduled.get(key)
            if old is not None and old.definition.hash == definition.hash:
                continue
            assert definition.schedule is not None
            new_one = Scheduled(definition, definition.schedule, min(known.get(key, now), now))
            if old is not None:
                new_one.seen, new_one.due = old.seen, old.due
            self._add(new_one)

    def _add(self, scheduled: Scheduled) -> None:
        key, schedule, history = scheduled.definition.key, scheduled.schedule, self._log.history
        self._scheduled[key] = scheduled
        self._timers.cancel((key, "tick"))
        now = self._clock()
        if schedule.on is not None:
            scheduled.seen |= history.ticks(key)
            for stored in self._inbox.events:
                if stored.at >= scheduled.since:
                    self._offer(scheduled, stored)
            return
        if schedule.after is None:
            # One that was there before makes up for the first time that it missed.
            last = history.last_tick(key, SINCE, now + BACK_S)
            scheduled.due = max(scheduled.due, last[1] if last is not None else scheduled.since)
            at = schedule.next(scheduled.due)
            if at is not None:
                self._wait(scheduled, at)
            return
        last = history.last_tick(key, SINCE, math.inf)
        if last is None:
            self._wait(scheduled, now)
            return
        scheduled.last, scheduled.due = last
        if last[0] not in self._engine.open:
            ended = history.shown(last[0])
            self._wait(scheduled, schedule.again(now if ended is None else min(ended[1].at, now)))

    def _wait(self, scheduled: Scheduled, at: float) -> None:
        self._timers.start((scheduled.definition.key, "tick"), at)

    def _fired(self, key: Key) -> None:
        scheduled = self._scheduled.get(key[0])
        if scheduled is None:
            return
        schedule, now = scheduled.schedule, self._clock()
        if schedule.after is not None:
            # The latest is the one with the highest time, whatever the clock says.
            at = max(now, scheduled.due + 0.001)
            started = self._start(
                scheduled, {}, ((f"after {scheduled.last or 'nothing'} {when(scheduled.since)}", at),)
            )
            if started is None:
                self._wait(scheduled, schedule.again(now))
            else:
                scheduled.last, scheduled.due = started, at
            return
        if scheduled.due > now + BACK_S:
            log.warning("the clock was put back: times count from now on", extra={"workflow": scheduled.definition.key})
            scheduled.due = now
        due = schedule.next(scheduled.due)
        if due is not None and due <= now:
            try:
                self._start_for(scheduled, due)
            except sqlite3.Error as error:
                log.warning("schedule waits: the store cannot be read: %s", error)
                self._wait(scheduled, now + SHORTEST)
                return
            # Whatever else was missed meanwhile is left out.
            scheduled.due = max(due, now)
        following = schedule.next(now)
        if following is not None:
            self._wait(scheduled, following)

    def _start_for(self, scheduled: Scheduled, due: float) -> None:
        """Once, also where the clock comes to that time again."""
        tick = when(due)
        if tick not in scheduled.seen and not self._log.recall.ticked(scheduled.definition.key, tick):
            self._start(scheduled, {}, ((tick, due),))

    def _offer(self, scheduled: Scheduled, stored: Stored) -> None:
        event = stored.event
        name = f"{event['source']} {event['id']}"
        if name in scheduled.seen:
            return
        for gathering in scheduled.gatherings:
            if gathering.offer(event):
                break
        else:
            gathering = Gathering(scheduled.schedule, self._clock())
            if not gathering.offer(event):
                return
            scheduled.gatherings.append(gathering)
            del scheduled.gatherings[:-MAX_GATHERINGS]
        stored.taken = True
        if gathering.done:
            scheduled.gatherings.remove(gathering)
            ticks = tuple((f"{each['source']} {each['id']}", self._clock()) for each in gathering.events)
            if ticks:
                self._start(scheduled, gathering.input(), ticks)

    def _start(self, scheduled: Scheduled, input: Json, ticks: tuple[tuple[str, float], ...]) -> str | None:
        started = self._engine.start_scheduled(scheduled.definition, input, ticks)
        where = {"workflow": scheduled.definition.key, "tick": ticks[0][0]}
        if started is None:
            self.skipped += 1
            log.warning("schedule skipped: no execution can be started now", extra=where)
        else:
            self.started += 1
            scheduled.seen |= {name for name, _ in ticks}
            if len(scheduled.seen) > 4 * MAX_EVENTS:
                kept = {f"{stored.event['source']} {stored.event['id']}" for stored in self._inbox.events}
                scheduled.seen &= kept
        return started


def _remember(gone: list[str], new: list[str], now: float, connection: sqlite3.Connection) -> None:
    connection.executemany("DELETE FROM tick WHERE workflow = ?", [(key,) for key in gone])
    connection.executemany("INSERT OR IGNORE INTO tick VALUES (?, ?, '', ?)", [(key, SINCE, now) for key in new])
    connection.execute(
        "DELETE FROM tick WHERE tick != ? AND at < ? AND EXISTS (SELECT 1 FROM tick AS later "
        "WHERE later.workflow = tick.workflow AND later.at > tick.at AND later.tick != ?)",
        (SINCE, now - KEEP_S, SINCE),
    )


def _told(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        log.error("schedules cannot be written down: %s", task.exception())
