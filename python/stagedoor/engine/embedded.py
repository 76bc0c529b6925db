"""The engine of one process: callouts in, machines fed, activities out, and each outcome in the event log before its
machine hears of it.

All of it runs in the loop's thread as plain callbacks. What one turn of the loop wants of the event log and of the data
plane is gathered and handed over in bulk.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, get_args

from stagedoor import _core
from stagedoor.engine import lifecycle, telling
from stagedoor.engine.admission import Admission, Room
from stagedoor.engine.blob import Blob, pack
from stagedoor.engine.broker import Settings as Broker
from stagedoor.engine.callers import RETRY_AFTER_S, Callers, ended
from stagedoor.engine.children import Children
from stagedoor.engine.definitions import Definitions
from stagedoor.engine.door import Caller, Door, TooLarge
from stagedoor.engine.event_log import Append, EventLog
from stagedoor.engine.execution import STATUS, Committed, Execution, Final, new_id
from stagedoor.engine.history import Row
from stagedoor.engine.inbox import Inbox, Stored
from stagedoor.engine.limits import Limits
from stagedoor.engine.listeners import Listeners
from stagedoor.engine.outbox import Outbox, Sink
from stagedoor.engine.parking import Parking
from stagedoor.engine.perform import MAX_BYTES, Performer, conclusion
from stagedoor.engine.processes import Confinement, Processes
from stagedoor.engine.reach import Reach
from stagedoor.engine.reception import Reception
from stagedoor.engine.record import encode, encode_json
from stagedoor.engine.recovery import revive
from stagedoor.engine.schedules import Schedules
from stagedoor.engine.snapshots import Snapshots
from stagedoor.engine.statement import OVER, Start
from stagedoor.engine.store import StoreError, reading
from stagedoor.engine.timers import Key
from stagedoor.engine.turns import Turns, slice_of_time
from stagedoor.notices import Notices
from stagedoor.workflow.commands import CancelTimer, Command, Complete, Fault, StartTimer
from stagedoor.workflow.definition import Definition
from stagedoor.workflow.events import (
    Event,
    EventReceived,
    ExecutionAdmitted,
    ExecutionMigrated,
    ExecutionStarted,
    Limit,
    LimitReached,
    TimerFired,
    UndoRequested,
)
from stagedoor.workflow.machine import Machine

AGAIN_S = 0.5
"""Before a parked execution is woken again whose history cannot be read."""
SCHEDULE = "(schedule)"
"""Stands for the route of an execution that no request started: it is no route's name."""

Json = Any
log = logging.getLogger("stagedoor.engine")


@dataclass(slots=True)
class Counters:
    started: int = 0
    recovered: int = 0
    broken: int = 0
    restarted: int = 0
    migrated: int = 0
    blobs: int = 0
    """Payloads that are kept beside the log."""
    blob_bytes: int = 0
    limited: dict[str, int] = field(default_factory=lambda: dict.fromkeys(get_args(Limit), 0))
    finished: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STATUS.values(), 0))


class Engine:
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
        self.counters = Counters()
        self.snapshots = snapshots or Snapshots(event_log)
        self.open: dict[str, Execution] = {}
        self._plane, self._log, self._definitions = plane, event_log, definitions
        self._clock = clock
        self.limits = Limits()
        self._loop = asyncio.get_running_loop()
        self.children = Children(self, event_log, definitions, clock)
        self.processes = Processes(clock, self._process_done)
        self.performer = Performer(self, self._loop, clock)
        self.admission = Admission(self._admit)
        self.turns = Turns(self._loop, self._advance)
        self.by_key: dict[Caller, Execution] = {}
        self._closing = False
        self._callers = Callers(self._loop, self.flush_soon)
        self.door = Door(self, self._callers, definitions, event_log.history)
        self.inbox = Inbox(event_log, clock, self._arrived)
        self.listeners = Listeners(self, self.inbox, clock)
        self.schedules = Schedules(self, event_log, self.inbox, self._loop, clock)
        self.outbox = Outbox(plane, notices, event_log, self.inbox)
        self.reception = Reception(notices, self.inbox, self._callers, self.flush_soon)
        self.parking = Parking(self, event_log, definitions, self._loop, clock)
        self._appends: list[Append] = []
        self._flushing = False
        self.telling = telling.Wanted()
        self._notices = notices
        notices.handle(
            {
                _core.Answered: self.performer.answered,
                _core.Unanswered: self.performer.unanswered,
                _core.Execute: self.door.execute,
                _core.ShowExecution: self.door.show,
                _core.Abandoned: self._callers.leave,
            },
            after=self._flush,
        )

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

    # Beginning and ending.

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

    def recover(self) -> int:
        """Read back every open execution; how many there are. One whose machine fails stays open and is logged;
        StoreError if the store cannot be read."""
        with reading(self._log.path):
            return self._recover()

    def _recover(self) -> int:
        self.inbox.load()
        self.parking.load()
        marks = self._log.history.told()
        if self.telling == telling.Wanted():
            self._appends += [telling.over(id) for id in marks]
            marks = {}
        for row in self._log.history.open():
            parked = self.parking.recovered(row)
            if parked is not None:
                parked.told = marks.get(row.id)
                self._keep(parked)
                self.admission.add(parked)
            else:
                self._read_back(row, marks.get(row.id))
        self.counters.recovered = len(self.open)
        return self.counters.recovered

    def _read_back(self, row: Row, told: int | None = None) -> Execution:
        """sqlite3.Error if the store cannot be read."""
        execution = Execution(row, None, updated=row.created, told=told, started=True, recovered=True)
        self._keep(execution)
        try:
            self._appends += revive(execution, self._log.recall, self._definitions, self.telling)
        except sqlite3.Error:
            self._drop(execution)
            raise
        except Exception as failure:  # noqa: BLE001 - logged, and one execution's own
            self._break(execution, failure)
        self.admission.add(execution, queued=execution.status == "pending")
        return execution

    def reopen(self, row: Row, request: UndoRequested, token: Any) -> None:
        """An execution that has completed, to be undone by whoever ran it, on behalf of the same caller."""
        try:
            execution = self._read_back(replace(row, status="running", ended=None))
        except sqlite3.Error as error:
            log.warning("execution is not undone yet: %s", error, extra={"execution": row.id})
            self._loop.call_later(AGAIN_S, self._again, partial(self.reopen, row, request, token))
            return
        execution.caller_token = token
        if execution.machine is not None:
            self.append(execution, request, status="running")

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
        self._flush()
        await self.parking.stop(self.open.values())

    def give_up(self) -> None:
        """Another process has the store, and goes on with what is in it. Whoever waits here is told to ask again."""
        self._closing = True
        refusal = ("refused", "engine-unavailable", "Another gateway has the store.", RETRY_AFTER_S)
        for execution in self.open.values():
            self._callers.release(execution, lambda callout: (callout, *refusal))
        self.flush_soon()

    # What goes to the event log and to the data plane.

    def _flush(self) -> None:
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

    # Starting.

    @property
    def startable(self) -> bool:
        """Whether anything can be started now."""
        return not self._closing and self._log.broken is None

    @property
    def full(self) -> bool:
        return len(self.open) >= self.limits.executions

    @property
    def crowded(self) -> bool:
        """Executions run executions: these have as many places again."""
        return len(self.open) >= 2 * self.limits.executions

    def start_scheduled(self, definition: Definition, input: Json, ticks: tuple[tuple[str, float], ...]) -> str | None:
        """An execution by a schedule: its id, or None if none can be started now."""
        if not self.startable or self.full or self.room(definition.key) == "none":
            return None
        start = Start(definition.key, definition.version, definition.hash, SCHEDULE, ticks=ticks)
        try:
            execution = self.begin_execution(definition, input, start)
        except ValueError as error:
            log.error("schedule: %s", error, extra={"workflow": definition.key})
            return None
        self.flush_soon()
        return execution.id

    def start(
        self,
        definition: Definition,
        input: Json,
        *,
        like: Row,
        trace: str | None,
        token: Any,
        id: str,
        parent: Json,
    ) -> Execution:
        """An execution for another one, on behalf of the same consumer. ValueError says why it cannot be."""
        start = Start(definition.key, definition.version, definition.hash, like.route, like.consumer, child=True)
        return self.begin_execution(definition, input, start, trace=trace, token=token, id=id, parent=parent)

    def begin_execution(
        self,
        definition: Definition,
        input: Json,
        start: Start,
        *,
        trace: str | None = None,
        token: Any = None,
        id: str | None = None,
        parent: Json = None,
    ) -> Execution:
        """ValueError: the input is not JSON; TooLarge: it is larger than an event may be."""
        now, id = self._clock(), id or new_id()
        queued = parent is None and self.room(definition.key) != "now"
        event = ExecutionStarted(
            now, id, definition.hash, input, start.consumer, trace, token is not None, parent, queued
        )
        data = encode(event)
        if len(data) > MAX_BYTES:
            raise TooLarge(f"input is larger than {MAX_BYTES} bytes")
        row = Row(
            id,
            start.workflow,
            start.version,
            start.definition,
            "running",
            start.route,
            start.consumer,
            start.key,
            start.fingerprint,
            now,
        )
        execution = Execution(row, Machine(definition), trace)
        execution.caller_token, execution.parent = token, parent
        if self.telling.follows(definition):
            telling.watch(execution)
        self._keep(execution)
        self.admission.add(execution, queued=queued)
        execution.seq, execution.updated, execution.size = 1, now, len(data)
        data, blobs = self._packed(event, data)
        execution.fed, execution.since, execution.since_bytes = 0, 1, len(data)
        outbox = self.told(row, event, 0)
        begun = Append(id, 0, "ExecutionStarted", now, data, None, start, outbox=outbox, blobs=blobs)
        self._appends.append(begun)
        wanted = self._feed(execution, event, slice_of_time())
        if execution.told is not None:
            # It is fed before it is committed, so both are written together; unless some of it is still to come.
            telling.begun(execution, begun, self.telling)
        final: Final | None = None
        if len(wanted) == 1 and isinstance(wanted[0], Complete | Fault):
            # It needs nobody: its end is written together with its beginning.
            final = conclusion(wanted[0], self._clock())
            self.append(execution, final, status=STATUS[type(final)])
        begun.done = partial(self._begun, execution, wanted, final)
        return execution

    def _keep(self, execution: Execution) -> None:
        row = execution.row
        self.open[row.id] = execution
        if row.key is not None:
            self.by_key[row.workflow, row.consumer, row.key] = execution

    def _drop(self, execution: Execution) -> None:
        row = execution.row
        del self.open[row.id]
        if row.key is not None:
            del self.by_key[row.workflow, row.consumer, row.key]
        self.admission.remove(execution)

    def room(self, workflow: str) -> Room:
        """Whether one more execution that nobody runs may begin."""
        return self.admission.room(workflow)

    def _admit(self, execution: Execution) -> None:
        if not self._closing and execution.final is None and execution.broken is None:
            self.append(execution, ExecutionAdmitted(self._clock()))
            self.flush_soon()

    # Feeding.

    def flush(self) -> None:
        """Hand over now what waits for the end of the turn."""
        self._flush()

    def adopt(self, execution: Execution) -> None:
        """Go on with one that is in the log already."""
        self._keep(execution)
        self.admission.add(execution)
        execution.fed, execution.since = execution.seq - 1, execution.seq
        self.counters.started += 1
        self.counters.restarted += 1
        if execution.machine is not None:
            self._run(execution, execution.machine.pending())
        self.flush_soon()

    def migrate(
        self, execution: Execution, event: ExecutionMigrated, attributes: dict[str, Any], done: Callable[[], None]
    ) -> None:
        """Write it down, whatever else is kept back; ``done`` once it is committed."""
        row = replace(execution.row, version=event.version, definition=event.definition)
        append = Append(row.id, execution.seq, "ExecutionMigrated", event.at, encode(event), lambda error: done())
        append.migrates, append.attributes = (row.version, row.definition), attributes
        execution.row, execution.updated = row, event.at
        execution.seq += 1
        self._appends.append(append)
        self.flush_soon()

    def exchange(self, execution: Execution, machine: Machine) -> None:
        """Go on by another machine, which waits for the same but for timers."""
        self.counters.migrated += 1
        old = {} if execution.machine is None else timers(execution.machine)
        new = timers(machine)
        execution.machine = machine
        if execution.told is not None:
            telling.watch(execution)
        self.snapshots.exchanged(execution)
        gone = [CancelTimer(id) for id, at in old.items() if new.get(id) != at]
        self._run(execution, [*gone, *(StartTimer(id, at) for id, at in new.items() if old.get(id) != at)])
        self.flush_soon()

    def append(
        self,
        execution: Execution,
        event: Event,
        *,
        status: str | None = None,
        data: str | None = None,
        outbox: str | None = None,
        taken: int | None = None,
        incidents: int | None = None,
        attributes: dict[str, Any] | None = None,
    ) -> None:
        if execution.kept is not None or execution.parked:
            again = partial(self.append, execution, event, status=status, data=data, outbox=outbox)
            again = partial(again, taken=taken, incidents=incidents, attributes=attributes)
            if execution.kept is not None:
                execution.kept.append((event, again))
                return
            try:
                if not self.wake(execution):
                    return
            except StoreError as error:
                log.warning("execution is not woken yet: %s", error, extra={"execution": execution.id})
                self._loop.call_later(AGAIN_S, self._again, again)
                return
        kind = type(event).__name__
        data = encode(event) if data is None else data
        execution.size += len(data)
        data, blobs = self._packed(event, data)
        owed = self.told(execution.row, event, execution.seq) if outbox is None else (outbox,)
        done = partial(self._committed, execution, event, execution.seq, len(data))
        self._appends.append(
            Append(
                execution.row.id,
                execution.seq,
                kind,
                event.at,
                data,
                done,
                None,
                status,
                owed,
                taken,
                incidents,
                attributes,
                told=OVER if type(event) in STATUS and execution.told is not None else None,
                blobs=blobs,
            )
        )
        if isinstance(event, LimitReached):
            execution.limited = True
            self.counters.limited[event.limit] += 1
        execution.seq += 1
        execution.updated = event.at

    def _packed(self, event: Event, data: str) -> tuple[str, tuple[Blob, ...]]:
        data, blobs = pack(event, data)
        if blobs:
            self.counters.blobs += len(blobs)
            self.counters.blob_bytes += sum(len(each.data) for each in blobs)
        return data, blobs

    def _again(self, append: Callable[[], None]) -> None:
        append()
        self.flush_soon()

    def told(self, row: Row, event: Event, seq: int) -> tuple[str, ...]:
        """What the sink is told of an execution's event."""
        event_of = lifecycle.told(row, event, seq) if self.telling.executions else None
        return () if event_of is None else (encode_json(event_of),)

    def _begun(
        self, execution: Execution, wanted: list[Command], final: Final | None, error: StoreError | None
    ) -> None:
        """Its first event is committed, or cannot be: nothing that it asks for was done before."""
        self.flush_soon()
        if error is not None:
            log.error("execution refused: %s", error, extra={"workflow": execution.row.workflow})
            self._drop(execution)
            refusal = ("refused", "engine-unavailable", "The store cannot be written.", RETRY_AFTER_S)
            self._callers.release(execution, lambda callout: (callout, *refusal))
            return
        self.counters.started += 1
        execution.started = True
        self._callers.started(execution, ends=final is not None)
        if final is not None:
            self._ended(execution, final)
        elif execution.broken is None:
            self._run(execution, wanted)
            self.turns.resume(execution)
            self.admission.go_on(execution.row.workflow)

    def _committed(self, execution: Execution, event: Event, seq: int, size: int, error: StoreError | None) -> None:
        self.flush_soon()
        if type(event) in STATUS:
            self._drop(execution)
            return
        self.turns.take(execution, Committed(event, seq, size))

    def _advance(self, execution: Execution, committed: Committed | None) -> None:
        """None: go on with the last one."""
        self.flush_soon()
        machine = execution.machine
        if machine is None or execution.broken is not None or execution.final is not None:
            return
        execution.hearing = heard = committed or execution.hearing
        event = None if committed is None else committed.event
        if execution.asked and execution.asked[0] is event:
            del execution.asked[0]
        wanted = self._feed(execution, event, self.turns.over)
        if execution.told is not None:
            self._tell(execution, 0 if heard is None else heard.seq, machine.now)
        self._run(execution, wanted)
        if execution.broken is None and execution.final is None and heard is not None and not machine.busy:
            self.snapshots.fed(execution, heard.seq, heard.size)
        if isinstance(event, EventReceived) and execution.broken is None:
            self.listeners.fed(execution, event.listener)

    def _feed(self, execution: Execution, event: Event | None, enough: Callable[[], bool]) -> list[Command]:
        """What the machine asks for; nothing if it fails, and then the execution is broken."""
        machine = execution.machine
        assert machine is not None
        try:
            return machine.go_on(enough) if event is None else machine.feed(event, enough)
        except Exception as failure:  # noqa: BLE001 - logged, and one execution's own
            self._break(execution, failure)
            return []

    def _tell(self, execution: Execution, seq: int, at: float) -> None:
        """The sink, what became of tasks with that event."""
        owed = telling.told(execution, seq, at, self.telling)
        if owed is not None:
            self._appends.append(owed)

    def _run(self, execution: Execution, wanted: list[Command]) -> None:
        try:
            self.performer.perform(execution, wanted)
        except Exception as failure:  # noqa: BLE001 - logged, and one execution's own
            self._break(execution, failure)
        else:
            self._heed(execution)

    def _heed(self, execution: Execution) -> None:
        """The limits of each execution."""
        machine = execution.machine
        if execution.limited or machine is None or execution.final is not None:
            return
        reached = self.limits.reached(execution, machine)
        if reached is not None and machine.forward:
            self.append(execution, LimitReached(self._clock(), *reached))

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

    def end(self, execution: Execution, final: Final) -> None:
        """The end follows from outcomes that are committed, so the answer need not wait for its own commit."""
        self.append(execution, final, status=STATUS[type(final)])
        self._ended(execution, final)

    def _ended(self, execution: Execution, final: Final) -> None:
        execution.final = final
        self.performer.forget(execution)
        self.counters.finished[STATUS[type(final)]] += 1
        if execution.parent is not None:
            self.children.ended(execution, final)
        self.schedules.ended(execution)
        self._callers.release(execution, lambda callout: ended(callout, execution.id, final))

    def _process_done(self, key: Key, event: Event) -> None:
        execution = self.open.get(key[0])
        if execution is not None and execution.final is None:
            self.append(execution, event)
            self.flush_soon()

    def timer_fired(self, key: Key) -> None:
        execution = self.open.get(key[0])
        if execution is not None and execution.final is None:
            self.append(execution, TimerFired(self._clock(), key[1]))
            self.flush_soon()

    def wait_until(self, key: Key, at: float) -> None:
        self.performer.wait_until(key, at)

    def wake(self, execution: Execution) -> bool:
        """It has a machine from now on, also if it was parked; False if it is broken. StoreError if the store cannot be
        read now."""
        try:
            with reading(self._log.path):
                if execution.parked:
                    self._appends += self.parking.wake(execution)
                    self.admission.recount(execution)
        except StoreError:
            raise
        except Exception as failure:  # noqa: BLE001 - logged, and one execution's own
            self._break(execution, failure)
            return False
        return True

    def flush_soon(self) -> None:
        """Whoever appends from outside a notice calls this after it."""
        if not self._flushing:
            self._flushing = True
            self._loop.call_soon(self._flush)


def timers(machine: Machine) -> dict[str, float]:
    """Those that it waits for, and when they are due."""
    return {each.id: each.at for each in machine.pending() if isinstance(each, StartTimer)}
