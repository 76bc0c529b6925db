"""Answers to what was asked for: each goes to whoever asked."""

from __future__ import annotations

from stagedoor.workflow.commands import (
    OpenIncident,
)
from stagedoor.workflow.course import TURNS, Course
from stagedoor.workflow.error import ReplayMismatch
from stagedoor.workflow.events import (
    AttributesSet,
    CallCompleted,
    CallFailed,
    CallUnknown,
    ChildEnded,
    ChildStarted,
    ChildUndone,
    CompensationRegistered,
    EventEmitted,
    EventReceived,
    IncidentOpened,
    IncidentResolved,
    ProcessEnded,
    ProcessFailed,
    TimerFired,
    TurnTaken,
)


class Answers(Course):
    """What nobody waits for any more is heard and changes nothing; what was never asked for is a ``ReplayMismatch``."""

    __slots__ = ()

    def _on_answer(self, event: CallCompleted | CallFailed | CallUnknown) -> None:
        found = self._waits.pop(event.call, None)
        if found is None:
            self._late(event.call)
            return
        frame = found[1]
        if frame.cancelled:
            self.draining -= 1
        if type(event) is CallCompleted:
            frame.answered(event)
        elif type(event) is CallFailed:
            frame.not_sent(event)
        else:
            frame.repeat(event)

    def _late(self, call: str) -> None:
        """An answer nobody waits for is fine if the call was once made: it was cancelled, or answered before."""
        if not self.identifiers.sent(call):
            raise ReplayMismatch(f"call {call!r} was never made")

    def _on_timer(self, event: TimerFired) -> None:
        found = self._waits.pop(event.timer, None)
        if found is not None:
            found[1].fired(event)
            return
        if not self.identifiers.numbered(event.timer):
            raise ReplayMismatch(f"timer {event.timer!r} was never started")

    def _on_turn(self, event: TurnTaken) -> None:
        if self.told(event.turn) is not None:
            self._turn = None
            return
        number = event.turn.removeprefix(TURNS)
        if not number.isdecimal() or not 0 < int(number) <= self._turns:
            raise ReplayMismatch(f"the turn {event.turn!r} was never asked for")

    def _on_attributes(self, event: AttributesSet) -> None:
        if self.told(event.setting) is None and not self.identifiers.numbered(event.setting):
            raise ReplayMismatch(f"attributes {event.setting!r} were never set")

    def _on_emitted(self, event: EventEmitted) -> None:
        if self.told(event.emit) is None and not self.identifiers.numbered(event.emit):
            raise ReplayMismatch(f"event {event.emit!r} was never emitted")

    def _on_received(self, event: EventReceived) -> None:
        found = self._waits.get(event.listener)
        if found is not None:
            found[1].received(event)
        elif not self.identifiers.numbered(event.listener):
            raise ReplayMismatch(f"listener {event.listener!r} was never there")

    def _on_registered(self, event: CompensationRegistered) -> None:
        if self.saga.confirmed(event) is None:
            raise ReplayMismatch(f"no compensation of {event.task!r} was registered")

    def _on_run(self, event: ChildStarted | ChildEnded | ProcessEnded | ProcessFailed) -> None:
        """What became of another execution or of a process."""
        found = self._waits.get(event.run)
        if found is None:
            if not self.identifiers.numbered(event.run):
                raise ReplayMismatch(f"{event.run!r} was never run")
            return
        frame = found[1]
        if type(event) is ChildStarted:
            frame.child_started(event)
            return
        del self._waits[event.run]
        if frame.cancelled:
            self.draining -= 1
        if type(event) is ChildEnded:
            frame.child_ended(event)
        elif type(event) is ProcessEnded:
            frame.process_ended(event)
        else:
            frame.process_failed(event)

    def _on_undone(self, event: ChildUndone) -> None:
        undo = self.told(event.run)
        if undo is not None:
            undo.child_undone(event)
        elif not self.identifiers.numbered(event.run):
            raise ReplayMismatch(f"{event.run!r} was never asked to be undone")

    def _on_opened(self, event: IncidentOpened) -> None:
        found = self._waits.get(event.incident)
        if found is None or not isinstance(found[0], OpenIncident):
            raise ReplayMismatch(f"incident {event.incident!r} was not opened by this execution")
        self._opened.add(event.incident)

    def _on_resolved(self, event: IncidentResolved) -> None:
        if event.incident in self._resolved:
            return
        found = self._waits.pop(event.incident, None)
        if found is None or not isinstance(found[0], OpenIncident):
            raise ReplayMismatch(f"incident {event.incident!r} is not open")
        self._resolved[event.incident] = event.by
        self._opened.discard(event.incident)
        found[1].resolved(event)
