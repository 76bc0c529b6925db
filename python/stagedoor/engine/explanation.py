"""Why an execution waits, with what its machine cannot know: queues, the store, and executions that it runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from stagedoor.engine.embedded import Engine
from stagedoor.engine.event_log import RETRY_S, EventLog
from stagedoor.engine.execution import Execution
from stagedoor.engine.slots import Slots
from stagedoor.workflow.waiting import ForCall, ForExecution, ForPlace, ForProcess, Reason

Json = Any

_WORK = {
    "cluster": "calls to the cluster {} are",
    "functions": "functions are",
    "threads": "functions in threads are",
    "processes": "processes are",
    "executions": "executions of {} are",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ForLimit(Reason):
    kind: ClassVar[str] = "limit"
    limit: str
    """``cluster functions threads processes executions``."""
    name: str
    """Of the cluster or the workflow."""
    at_once: int
    place: int
    """In the queue; the first is 1."""
    waiting: int
    """In the queue."""
    call: str | None = None

    def text(self) -> str:
        work = _WORK[self.limit].format(self.name)
        return (
            f"{self.task or 'the workflow'} has place {self.place} of {self.waiting} in a queue: "
            f"{self.at_once} {work} under way, as many as may be"
        )

    def wakes(self) -> str:
        return f"the end of one of them, after the {self.place - 1} before it" if self.place > 1 else "the end of one"


@dataclass(frozen=True, slots=True, kw_only=True)
class ForStore(Reason):
    kind: ClassVar[str] = "store"
    trouble: str | None = None
    """None: its last events are being written."""

    def text(self) -> str:
        if self.trouble is None:
            return "its last events are being written"
        return f"the store cannot be written: {self.trouble}; what happens meanwhile is kept"

    def wakes(self) -> str:
        return "the commit" if self.trouble is None else f"the store, which is tried again every {RETRY_S:g} s"


@dataclass(frozen=True, slots=True, kw_only=True)
class ForRestart(Reason):
    kind: ClassVar[str] = "restart"
    trouble: str

    def text(self) -> str:
        return f"the engine cannot go on with it: {self.trouble}"

    def wakes(self) -> str:
        return "the next start of the gateway"


def explain(engine: Engine, event_log: EventLog, execution: Execution, reasons: Sequence[Reason]) -> list[Json]:
    """``reasons`` are those of its machine; as JSON, each with ``kind text since wakes`` and what else there is."""
    if execution.broken is not None:
        return [ForRestart(task="", since=execution.updated, trouble=execution.broken).show()]
    told = [_known(engine, execution, each) for each in reasons]
    if event_log.broken is not None:
        told.insert(0, ForStore(task="", since=execution.updated, trouble=event_log.broken))
    return [each.show() for each in told or [ForStore(task="", since=execution.updated)]]


def _known(engine: Engine, execution: Execution, reason: Reason) -> Reason:
    match reason:
        case ForPlace():
            found = engine.admission.place(execution)
            if found is None:
                return reason
            place, at_once = found
            return ForLimit(
                task=reason.task,
                since=reason.since,
                limit="executions",
                name=execution.row.workflow,
                at_once=at_once,
                place=place.number,
                waiting=place.of,
            )
        case ForCall():
            slots = engine.performer.slots_of(execution, reason.id)
            if slots is not None and slots.kind == "cluster":
                reason = replace(reason, cluster=slots.name)
            return _queued(slots, execution, reason, reason.id, reason.call)
        case ForProcess():
            return _queued(engine.processes.slots, execution, reason, reason.id, None)
        case ForExecution():
            child = engine.open.get(reason.execution)
            return reason if child is None else replace(reason, status=child.status)
    return reason


def _queued(slots: Slots | None, execution: Execution, reason: Reason, id: str, call: str | None) -> Reason:
    place = None if slots is None else slots.place((execution.id, id))
    if slots is None or place is None:
        return reason
    return ForLimit(
        task=reason.task,
        since=place.since,
        limit=slots.kind,
        name=slots.name,
        at_once=slots.share.at_once,
        place=place.number,
        waiting=place.of,
        call=call,
    )
