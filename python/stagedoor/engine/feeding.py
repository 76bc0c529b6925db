"""Feeding machines: each outcome is in the event log before its machine hears of it, and what the machine asks for
then is carried out."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from stagedoor import _core
from stagedoor.engine import lifecycle, telling
from stagedoor.engine.blob import Blob, pack
from stagedoor.engine.event_log import Append, EventLog
from stagedoor.engine.execution import STATUS, Committed, Execution, Final
from stagedoor.engine.history import Row
from stagedoor.engine.holding import Holding
from stagedoor.engine.limits import Limits
from stagedoor.engine.listeners import Listeners
from stagedoor.engine.parking import Parking
from stagedoor.engine.record import encode, encode_json
from stagedoor.engine.snapshots import Snapshots
from stagedoor.engine.statement import OVER
from stagedoor.engine.store import StoreError, reading
from stagedoor.engine.timers import Key
from stagedoor.engine.turns import Turns
from stagedoor.workflow.commands import Command
from stagedoor.workflow.events import Event, EventReceived, LimitReached, TimerFired

AGAIN_S = 0.5
"""Before a parked execution is woken again whose history cannot be read."""

log = logging.getLogger("stagedoor.engine")


class Feeding(Holding):
    listeners: Listeners
    parking: Parking

    def __init__(
        self, plane: _core.DataPlane, event_log: EventLog, clock: Callable[[], float], snapshots: Snapshots | None
    ) -> None:
        super().__init__(plane, event_log)
        self.snapshots = snapshots or Snapshots(event_log)
        self.limits = Limits()
        self.turns = Turns(self._loop, self._advance, self.flush)
        event_log.after = self._acknowledged
        self._clock = clock
        self.telling = telling.Wanted()

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

    def told(self, row: Row, event: Event, seq: int) -> tuple[str, ...]:
        """What the sink is told of an execution's event."""
        event_of = lifecycle.told(row, event, seq) if self.telling.executions else None
        return () if event_of is None else (encode_json(event_of),)

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

    def _acknowledged(self) -> None:
        """All that was committed together."""
        self.turns.rest()
        self.flush()

    def _committed(self, execution: Execution, event: Event, seq: int, size: int, error: StoreError | None) -> None:
        if type(event) in STATUS:
            self._drop(execution)
            return
        self.turns.take(execution, Committed(event, seq, size))

    def _advance(self, execution: Execution, committed: Committed | None) -> None:
        """None: go on with the last one."""
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

    def end(self, execution: Execution, final: Final) -> None:
        """The end follows from outcomes that are committed, so the answer need not wait for its own commit."""
        self.append(execution, final, status=STATUS[type(final)])
        self._ended(execution, final)

    # What happens without anybody's call

    def timer_fired(self, key: Key) -> None:
        execution = self.open.get(key[0])
        if execution is not None and execution.final is None:
            self.append(execution, TimerFired(self._clock(), key[1]))
            self.flush_soon()

    def _process_done(self, key: Key, event: Event) -> None:
        execution = self.open.get(key[0])
        if execution is not None and execution.final is None:
            self.append(execution, event)
            self.flush_soon()
