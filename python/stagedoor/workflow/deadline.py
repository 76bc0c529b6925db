"""The time that a task may take, from its start."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stagedoor.workflow.commands import CancelTimer, Command, StartTimer
from stagedoor.workflow.events import TimerFired
from stagedoor.workflow.waiting import ForTimer, Reason

if TYPE_CHECKING:
    from stagedoor.workflow.frame import Frame


class Deadline:
    """A timer that ends a frame. Withdrawn when the frame ends before."""

    __slots__ = ("_frame", "_seconds", "_timer")

    def __init__(self, frame: Frame, seconds: float) -> None:
        self._frame = frame
        self._seconds = seconds
        self._timer = frame.machine.start_timer(f"{frame.identity}!timeout", seconds, self)

    @property
    def reference(self) -> str:
        return self._frame.reference

    @property
    def repeatable(self) -> bool:
        return self._frame.repeatable

    def withdraw(self) -> None:
        self._frame.deadline = None
        self._frame.machine.withdraw(CancelTimer(self._timer))

    def fired(self, event: TimerFired) -> None:
        self._frame.expire(self._seconds)

    def waits_for(self, command: Command, since: float) -> Reason:
        at = command.at if isinstance(command, StartTimer) else self._frame.now
        return ForTimer(task=self._frame.reference, since=since, until=at, purpose="timeout")
