"""The course of an execution: its tasks begin, one after the other, until it has come to its end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from stagedoor.workflow.asking import Asking
from stagedoor.workflow.commands import (
    Call,
    Cancel,
    CancelCall,
    CancelChild,
    CancelProcess,
    CancelTimer,
    Command,
    Complete,
    Fault,
    OpenIncident,
    RunProcess,
    StartChild,
    StartTimer,
    Subscribe,
    TakeTurn,
    UndoChild,
    Unsubscribe,
)
from stagedoor.workflow.error import Failure, standard
from stagedoor.workflow.frame import Frame
from stagedoor.workflow.limit import reached
from stagedoor.workflow.waiting import ForTurn, Reason

Json = Any

TURNS = "turn@"
TURN = 1000
"""Tasks that one event starts at most, without waiting for anything; then the others have their turns."""
MAX_TRANSITIONS = 20_000
"""The same by rules 1 and 2, where more was taken for a loop without end."""


class Course(Asking):
    """A frame is started by the loop of tasks, and it is the parent of the outermost one."""

    __slots__ = ()

    def schedule(self, frame: Frame, data: Json) -> None:
        """Start a frame in the machine's loop, not on the caller's stack: a long loop does not grow it."""
        self._agenda.append((frame, data))

    def when_drained(self, then: Callable[[], None]) -> None:
        """As soon as no call of a cancelled task is on its way any more."""
        self._drained.append(then)

    def _run(self, enough: Callable[[], bool] | None) -> None:
        agenda = self._agenda
        in_turns = self.rules > 2
        self.busy = False
        if self._turn is not None:
            # Whatever else happens meanwhile: a replay is fed events too of which a running machine does not hear.
            return
        while True:
            while agenda and self._held is None and self._cut is None and not self._queued:
                frame, data = agenda.popleft()
                if frame.cancelled:
                    continue
                if in_turns and self._transitions == TURN:
                    agenda.appendleft((frame, data))
                    self._ask_for_turn()
                    return
                if enough is not None and self._transitions and enough():
                    agenda.appendleft((frame, data))
                    self.busy = True
                    return
                if self._stops and self._stops[0] == (self._fed, frame.identity):
                    self._cut = (frame, data, self.now)
                    break
                self._transitions += 1
                self._begun += 1
                if self._transitions > MAX_TRANSITIONS:
                    self._break(frame, reached("tasks", MAX_TRANSITIONS, frame.reference))
                    self._transitions = 0
                    continue
                frame.start(data)
            if self._drained and self.draining == 0:
                drained, self._drained = self._drained, []
                for each in drained:
                    each()
                continue
            if self._phase == "ending" and self.draining == 0:
                self._phase = "undoing"
                self.saga.begin()
                if agenda:
                    continue
            return

    def _ask_for_turn(self) -> None:
        self._turns += 1
        self._turn = f"{TURNS}{self._turns}"
        self.ask(TakeTurn(self._turn), self)

    def waits_for(self, command: Command, since: float) -> Reason:
        """As an owner of commands: for its turn."""
        task = self._agenda[0][0].reference if self._agenda else ""
        return ForTurn(task=task, since=since, tasks=self._begun)

    def _break(self, frame: Frame, error: dict[str, Json]) -> None:
        """The workflow, or the undo, to which the frame belongs fails; nothing within catches it."""
        top = frame
        while isinstance(top.parent, Frame):
            top = top.parent
        top.cancel(drain=True)
        top.parent.child_failed(top, Failure(error, fatal=True))

    # As the parent of the outermost frame

    def child_done(self, child: Frame, output: Json, then: str) -> None:
        template = self.definition.output_as
        try:
            self.output = template(child, output) if template is not None else output
            if self.definition.output_schema is not None:
                self.definition.output_schema.check(self.output, child)
        except Failure as failure:
            self.child_failed(child, failure)
            return
        undo = None
        if self.started is not None and self.started.parent is not None:
            self._doubt_stopped()
            undo = self.saga.outlook
        self._conclude(Complete(self.output, undo))

    def _doubt_stopped(self) -> None:
        """Calls of losers whose answers nobody waits for any more: whoever ran this may undo it, and they with it."""
        for id, (command, owner, _) in list(self._waits.items()):
            if isinstance(command, Call) and owner.cancelled:
                self.withdraw(CancelCall(id))
                self.draining -= 1
                owner.fail(Failure(standard("runtime", 500, "Cancelled", owner.reference), unknown=True))

    def child_failed(self, child: Frame, failure: Failure) -> None:
        self.error = failure.error
        self._phase = "ending"
        self._held = None

    def undone(self) -> None:
        """The saga is over."""
        compensation = self.saga.report()
        if self.error is not None:
            self._conclude(Fault(self.error, compensation))
        else:
            self._conclude(Cancel(self._reason or "", compensation))

    def end(self, frame: Frame, output: Json) -> None:
        """``then: end``: the outermost list around the frame ends with this output."""
        top = frame
        while isinstance(top.parent, Frame):
            top = top.parent
        top.cancel(drain=False)
        top.parent.child_done(top, output, "end")

    def _conclude(self, conclusion: Complete | Fault | Cancel) -> None:
        self._phase = "concluded"
        self._conclusion = conclusion
        # Registrations are facts for the log; everything else that was asked for is of no use any more.
        for identifier, (command, _, _) in list(self._waits.items()):
            if isinstance(command, StartTimer):
                self.withdraw(CancelTimer(identifier))
            elif isinstance(command, Call):
                self.withdraw(CancelCall(identifier))
            elif isinstance(command, Subscribe):
                self.withdraw(Unsubscribe(identifier))
            elif isinstance(command, StartChild | CancelChild):
                self.withdraw(CancelChild(identifier, command.child))
            elif isinstance(command, RunProcess):
                self.withdraw(CancelProcess(identifier))
            elif isinstance(command, OpenIncident | UndoChild | TakeTurn):
                del self._waits[identifier]
        # Nor does it wait for its turn: what is undone of it later would wait with it.
        self._turn = None
        self._waits["conclusion"] = (conclusion, self, self.now)
        self._out.append(conclusion)
