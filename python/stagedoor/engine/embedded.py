"""The engine of one process: callouts in, machines fed, activities out, and each outcome in the event log before its
machine hears of it.

All of it runs in the loop's thread as plain callbacks. What one turn of the loop wants of the event log and of the data
plane is gathered and handed over in bulk.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping

from stagedoor import _core
from stagedoor.engine import telling
from stagedoor.engine.broker import Settings as Broker
from stagedoor.engine.callers import RETRY_AFTER_S
from stagedoor.engine.children import Children
from stagedoor.engine.definitions import Definitions
from stagedoor.engine.door import Door
from stagedoor.engine.event_log import EventLog
from stagedoor.engine.inbox import Inbox, Stored
from stagedoor.engine.limits import Limits
from stagedoor.engine.listeners import Listeners
from stagedoor.engine.outbox import Outbox, Sink
from stagedoor.engine.parking import Parking
from stagedoor.engine.perform import Performer
from stagedoor.engine.processes import Confinement, Processes
from stagedoor.engine.reach import Reach
from stagedoor.engine.reception import Reception
from stagedoor.engine.resuming import Resuming
from stagedoor.engine.schedules import Schedules
from stagedoor.engine.snapshots import Snapshots
from stagedoor.engine.store import reading
from stagedoor.engine.timers import Key
from stagedoor.notices import Notices

log = logging.getLogger("stagedoor.engine")


class Engine(Resuming):
    """``recover`` before serving, ``begin`` once the data plane serves, ``stop`` after it has drained."""

    def __init__(
        self,
        plane: _core.DataPlane,
        notices: Notices,
        event_log: EventLog,
        definitions: Definitions,
        *,
        clock: Callable[[], float] = time.time,
        snapshots: Snapshots | None = None,
    ) -> None:
        super().__init__(plane, event_log, definitions, clock, snapshots)
        self.children = Children(self, event_log, definitions, clock)
        self.processes = Processes(clock, self._process_done)
        self.performer = Performer(self, self._loop, clock)
        self.door = Door(self, self._callers, definitions, event_log.history)
        self.inbox = Inbox(event_log, clock, self._arrived)
        self.listeners = Listeners(self, self.inbox, clock)
        self.schedules = Schedules(self, event_log, self.inbox, self._loop, clock)
        self.outbox = Outbox(plane, notices, event_log, self.inbox)
        self.reception = Reception(notices, self.inbox, self._callers, self.flush_soon)
        self.parking = Parking(self, event_log, definitions, self._loop, clock)
        self._notices = notices
        notices.handle(
            {
                _core.Answered: self.performer.answered,
                _core.Unanswered: self.performer.unanswered,
                _core.Execute: self.door.execute,
                _core.ShowExecution: self.door.show,
                _core.Abandoned: self._callers.leave,
            },
            after=self.flush,
        )

    def use(
        self,
        routes: Mapping[str, str],
        reach: Reach,
        sink: Sink | None = None,
        processes: Mapping[str, Confinement] | None = None,
        lifecycle: bool = False,
        limits: Limits | None = None,
        tasks: bool = False,
        broker: Broker | None = None,
    ) -> None:
        """Workflow routes with their ``namespace/name``, whom calls may reach, where events go, what may be run as a
        process, by language, whether the sink is told what becomes of executions and of their tasks, and how much of
        it all at once."""
        self.door.routes, self.outbox.sink = routes, sink
        self.outbox.nats.use(broker)
        told = sink is not None or (broker is not None and broker.subject is not None)
        self.telling = telling.Wanted(lifecycle and told, tasks and told)
        self.processes.allowed = processes or {}
        self.limits = limits or Limits()
        self.performer.use(reach, self.limits)
        self.admission.use(self.limits.workflows)

    def begin(self) -> None:
        """Carry out what has no outcome yet, and take callouts."""
        self.performer.recovering = True
        for execution in list(self.open.values()):
            if execution.machine is not None:
                self._run(execution, execution.machine.pending())
        self.performer.recovering = False
        self.admission.use(self.limits.workflows)
        self.parking.begin()
        self._notices.begin()
        self.outbox.nats.begin()
        self.outbox.wake()
        with reading(self._log.path):
            self.schedules.begin()

    def _arrived(self, stored: Stored) -> None:
        """An event is in the inbox."""
        self.listeners.arrived(stored)
        self.schedules.arrived(stored)
        self.flush_soon()

    def wait_until(self, key: Key, at: float, longest: float) -> None:
        self.performer.wait_until(key, at, longest)

    async def stop(self, timeout_s: float) -> None:
        """Begin nothing new, record what comes of calls on their way within the time, and let go. What has not ended
        goes on at the next start."""
        self._closing = True
        self.performer.close()
        self.outbox.stop()
        self.schedules.stop()
        self.processes.stop()
        end = self._loop.time() + timeout_s
        while self.performer.calls and self._loop.time() < end:  # noqa: ASYNC110 - once, and bounded
            await asyncio.sleep(0.01)
        if self.performer.calls:
            log.warning("calls were still on their way", extra={"calls": self.performer.calls})
        self._notices.stop()
        await self.outbox.nats.stop()
        self.flush()
        await self.parking.stop(self.open.values())

    def give_up(self) -> None:
        """Another process has the store, and goes on with what is in it. Whoever waits here is told to ask again."""
        self._closing = True
        refusal = ("refused", "engine-unavailable", "Another gateway has the store.", RETRY_AFTER_S)
        for execution in self.open.values():
            self._callers.release(execution, lambda callout: (callout, *refusal))
        self.flush_soon()

    # What is counted

    @property
    def refused(self) -> int:
        """Callouts that were refused."""
        return self._callers.refused

    @property
    def calls_sent(self) -> int:
        return self.performer.sent

    @property
    def calls_open(self) -> int:
        return self.performer.calls

    @property
    def calls_waiting(self) -> int:
        return self.performer.waiting

    @property
    def calls_refused(self) -> int:
        """Because too many waited."""
        return self.performer.refused

    @property
    def timers(self) -> int:
        return self.performer.timers
