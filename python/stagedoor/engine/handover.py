"""What one turn of the loop wants of the event log and of the data plane, gathered and handed over in bulk."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from stagedoor import _core
from stagedoor.engine.callers import Callers
from stagedoor.engine.event_log import Append, EventLog
from stagedoor.engine.perform import Performer


class Handover:
    """Layers of the engine above this one add to what is gathered."""

    performer: Performer

    def __init__(self, plane: _core.DataPlane, event_log: EventLog) -> None:
        self._plane, self._log = plane, event_log
        self._loop = asyncio.get_running_loop()
        self._callers = Callers(self._loop, self.flush_soon)
        self._appends: list[Append] = []
        self._flushing = False

    def flush(self) -> None:
        """Now, what waits for the end of the turn."""
        self._flushing = False
        performer = self.performer
        if performer.requests:
            requests, performer.requests = performer.requests, []
            self._plane.call(requests)
        if performer.cancels:
            cancels, performer.cancels = performer.cancels, []
            self._plane.cancel(cancels)
        if performer.invalidated:
            groups, performer.invalidated = performer.invalidated, set()
            self._plane.invalidate(sorted(groups))
        if self._appends:
            appends, self._appends = self._appends, []
            self._log.append(appends)
        if self._callers.answers:
            answers, self._callers.answers = self._callers.answers, []
            self._plane.answer(answers)

    def flush_soon(self) -> None:
        """Whoever appends from outside a notice calls this after it."""
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self.flush)

    def _again(self, append: Callable[[], None]) -> None:
        append()
        self.flush_soon()
