"""Events that are owed: from the log to this gateway's listeners, to the sink and to a broker, each at least once, with
one id."""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from stagedoor import _core
from stagedoor.engine import cloud_events
from stagedoor.engine.event_log import EventLog
from stagedoor.engine.inbox import Inbox
from stagedoor.engine.lifecycle import FOR_SINKS
from stagedoor.engine.nats import Nats
from stagedoor.engine.store import StoreError
from stagedoor.notices import Notices

FIRST = 1 << 49
"""Numbers of these calls; those of workflows and of issuers are below."""
AT_ONCE = 32
"""Events on their way."""
TIMEOUT_MS = 30_000
PAUSES_S = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
"""Between two attempts; the last one repeats."""
BROKER = "(nats)"
"""Stands for the broker where clusters have their names."""
GIVE_UP_S = 24 * 3600.0
"""After its first attempt an event that the sink has not taken is given up, with an error in the log."""

Json = Any
log = logging.getLogger("stagedoor.engine")


@dataclass(frozen=True, slots=True)
class Sink:
    """Where events go beside this gateway's own listeners."""

    cluster: str
    path: str
    mode: Literal["binary", "structured"] = "binary"


class Outbox:
    def __init__(self, plane: _core.DataPlane, notices: Notices, event_log: EventLog, inbox: Inbox) -> None:
        self.sink: Sink | None = None
        self.nats = Nats(inbox.receive)
        self.delivered = 0
        self.given_up = 0
        self._plane, self._log, self._inbox = plane, event_log, inbox
        self._number = FIRST
        self._waiting: dict[int, asyncio.Future[_core.Answered | _core.Unanswered]] = {}
        self._under_way: dict[int, asyncio.Task[None]] = {}
        self._last = 0
        self._loading = False
        self._again = False
        self._closing = False
        event_log.owed = self.wake
        notices.handle({_core.Answered: self._answered, _core.Unanswered: self._answered})

    @property
    def under_way(self) -> int:
        return len(self._under_way)

    def wake(self) -> None:
        """Something may be owed."""
        if self._closing:
            return
        if self._loading or len(self._under_way) >= AT_ONCE:
            self._again = True
            return
        self._again, self._loading = False, True
        asked = self._log.history.ask(partial(self._log.history.outbox, self._last, AT_ONCE - len(self._under_way)))
        asked.add_done_callback(self._loaded)

    def stop(self) -> None:
        """What is under way is sent again at the next start."""
        self._closing = True
        for task in self._under_way.values():
            task.cancel()

    def _loaded(self, asked: asyncio.Future[list[tuple[int, str]]]) -> None:
        self._loading = False
        if asked.cancelled() or self._closing:
            return
        loop = asyncio.get_running_loop()
        if asked.exception() is not None:
            loop.call_later(PAUSES_S[0], self.wake)
            return
        for n, text in asked.result():
            self._last = n
            task = loop.create_task(self._deliver(n, json.loads(text)))
            self._under_way[n] = task
            task.add_done_callback(partial(self._ended, n))
        if asked.result() or self._again:
            self.wake()

    def _ended(self, n: int, task: asyncio.Task[None]) -> None:
        self._under_way.pop(n, None)
        if self._again:
            self.wake()

    async def _deliver(self, n: int, event: Json) -> None:
        loop = asyncio.get_running_loop()
        begin, attempt = loop.time(), 0
        # What is told of executions is for the sink alone: a workflow that starts on any event would tell of itself.
        while not event["type"].startswith(FOR_SINKS):
            try:
                await self._inbox.receive([event])
                break
            except StoreError:
                await asyncio.sleep(PAUSES_S[0])
        have: set[str] = set()
        while trouble := await self._offer(event, have):
            if loop.time() - begin > GIVE_UP_S:
                self.given_up += 1
                log.error("event given up: %s", "; ".join(trouble), extra={"event": event["id"]})
                break
            if attempt == 0:
                log.warning("event not taken, sent again: %s", "; ".join(trouble), extra={"event": event["id"]})
            await asyncio.sleep(PAUSES_S[min(attempt, len(PAUSES_S) - 1)])
            attempt += 1
        while True:
            try:
                await self._log.run(partial(_forget, n))
                break
            except StoreError:
                await asyncio.sleep(PAUSES_S[0])
        self.delivered += 1

    async def _offer(self, event: Json, have: set[str]) -> list[str]:
        """Send it to those that do not have it yet, as the configuration is now; why it was not taken."""
        troubles = []
        sink, broker = self.sink, self.nats.broker
        if sink is not None and sink.cluster not in have:
            trouble = await self._send(sink, event)
            if trouble is None:
                have.add(sink.cluster)
            else:
                troubles.append(f"cluster {sink.cluster}: {trouble}")
        if broker is not None and broker.settings.subject is not None and BROKER not in have:
            trouble = await broker.send(event)
            if trouble is None:
                have.add(BROKER)
            else:
                troubles.append(trouble)
        return troubles

    async def _send(self, sink: Sink, event: Json) -> str | None:
        """Why it was not taken."""
        headers, body = cloud_events.message(event, structured=sink.mode == "structured")
        self._number = number = self._number + 1
        answer: asyncio.Future[_core.Answered | _core.Unanswered] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        try:
            self._plane.call([(number, sink.cluster, "POST", sink.path, headers, body, TIMEOUT_MS, None)])
            notice = await answer
        finally:
            del self._waiting[number]
        if isinstance(notice, _core.Unanswered):
            return notice.detail
        return None if 200 <= notice.status < 300 else f"the sink answered {notice.status}"

    def _answered(self, notice: _core.Answered | _core.Unanswered) -> None:
        waiting = self._waiting.get(notice.call)
        if waiting is not None and not waiting.done():
            waiting.set_result(notice)


def _forget(n: int, connection: sqlite3.Connection) -> None:
    connection.execute("DELETE FROM outbox WHERE n = ?", (n,))
