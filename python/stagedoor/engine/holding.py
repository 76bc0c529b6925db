"""Executions that have not ended: kept, by id and by their callers' keys, until they end or break."""

from __future__ import annotations

import logging

from stagedoor import _core
from stagedoor.engine.admission import Admission
from stagedoor.engine.callers import ended
from stagedoor.engine.children import Children
from stagedoor.engine.counters import Counters
from stagedoor.engine.door import Caller
from stagedoor.engine.event_log import EventLog
from stagedoor.engine.execution import STATUS, Execution, Final
from stagedoor.engine.handover import Handover
from stagedoor.engine.inbox import Inbox
from stagedoor.engine.schedules import Schedules

log = logging.getLogger("stagedoor.engine")


class Holding(Handover):
    admission: Admission
    children: Children
    inbox: Inbox
    schedules: Schedules

    def __init__(self, plane: _core.DataPlane, event_log: EventLog) -> None:
        super().__init__(plane, event_log)
        self.counters = Counters()
        self.open: dict[str, Execution] = {}
        self.by_key: dict[Caller, Execution] = {}

    def _keep(self, execution: Execution) -> None:
        row = execution.row
        execution.after = self.inbox.last
        self.open[row.id] = execution
        if row.key is not None:
            self.by_key[row.workflow, row.consumer, row.key] = execution

    def _drop(self, execution: Execution) -> None:
        row = execution.row
        del self.open[row.id]
        if row.key is not None:
            del self.by_key[row.workflow, row.consumer, row.key]
        self.admission.remove(execution)

    def _ended(self, execution: Execution, final: Final) -> None:
        execution.final = final
        self.performer.forget(execution)
        self.counters.finished[STATUS[type(final)]] += 1
        if execution.parent is not None:
            self.children.ended(execution, final)
        self.schedules.ended(execution)
        self._callers.release(execution, lambda callout: ended(callout, execution.id, final))

    def broken(self, execution: Execution, failure: Exception) -> None:
        """Something of this execution cannot go on."""
        self._break(execution, failure)
        self.flush_soon()

    def _break(self, execution: Execution, failure: Exception) -> None:
        """A mistake of the machine or of the engine ends one execution's progress and nothing else."""
        log.error("execution cannot go on", extra={"execution": execution.id}, exc_info=failure)
        execution.broken = str(failure)
        self.counters.broken += 1
        self._callers.release(
            execution, lambda callout: (callout, "refused", "internal", "The execution cannot go on.", None)
        )
