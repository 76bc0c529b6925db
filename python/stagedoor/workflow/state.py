"""The state of a machine, and what may be asked of it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Literal

from stagedoor.workflow.commands import (
    Call,
    Cancel,
    CancelChild,
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
)
from stagedoor.workflow.consumption import Taken
from stagedoor.workflow.definition import Definition
from stagedoor.workflow.events import (
    RULES,
    ExecutionStarted,
    SuspendRequested,
    UndoRequested,
)
from stagedoor.workflow.frame import Frame
from stagedoor.workflow.identifiers import Identifiers
from stagedoor.workflow.move import Correlating, Move
from stagedoor.workflow.saga import Saga
from stagedoor.workflow.timeline import Timeline
from stagedoor.workflow.waiting import ForOperator, ForPlace, Reason

Json = Any
Wait = tuple[Command, Any, float]
"""A command whose answer is owed, who gave it, and when."""
Status = Literal["pending", "running", "waiting", "suspended", "completed", "faulted", "cancelled"]

_WAITED = Call | StartTimer | Subscribe | StartChild | CancelChild | UndoChild | RunProcess | OpenIncident | TakeTurn
"""Commands for whose answers an execution waits."""


class State:
    """Of one execution of one definition: the fold of its events."""

    __slots__ = (
        "_agenda",
        "_begun",
        "_conclusion",
        "_cut",
        "_drained",
        "_fed",
        "_held",
        "_opened",
        "_out",
        "_phase",
        "_queued",
        "_reason",
        "_resolved",
        "_root",
        "_stops",
        "_transitions",
        "_turn",
        "_turns",
        "_waits",
        "attributes",
        "began",
        "busy",
        "definition",
        "doubts",
        "draining",
        "error",
        "execution",
        "identifiers",
        "input",
        "moves",
        "now",
        "output",
        "runs",
        "saga",
        "started",
        "taken",
        "undo",
    )

    saga: Saga

    def __init__(self, definition: Definition, began: str | None = None) -> None:
        """``began`` is the hash of the definition that the execution began by, where it was migrated to this one."""
        self.definition = definition
        self.began = began or definition.hash
        self.execution = ""
        self.now = 0.0
        """The time of the event being fed, in seconds since the epoch."""
        self.input: Json = None
        self.output: Json = None
        self.error: dict[str, Json] | None = None
        """The original error, from the moment nothing caught it."""
        self.identifiers = Identifiers()
        self.draining = 0
        """Calls on their way whose tasks are cancelled already."""
        self.doubts = 0
        """Ever counted up when a task is stopped that may have been carried out."""
        self.attributes: dict[str, Json] = {}
        """What the execution is about."""
        self.taken = Taken()
        self.moves: list[Move | Correlating] | None = None
        """In their order, for whoever puts a list here and takes it away; no part of the state."""
        self._drained: list[Callable[[], None]] = []
        self.runs = Timeline()
        self._agenda: deque[tuple[Frame, Json]] = deque()
        self._out: list[Command] = []
        self._waits: dict[str, Wait] = {}
        self._opened: set[str] = set()
        """Incidents whose opening is in the log: nothing of them is pending but the operator's word."""
        self._phase: Literal["pending", "running", "ending", "undoing", "concluded"] = "pending"
        self._root: Frame | None = None
        self._reason: str | None = None
        self._held: SuspendRequested | None = None
        self._queued = False
        self._turn: str | None = None
        """Asked for and not taken."""
        self._turns = 0
        self._transitions = 0
        """Tasks that the last event has started."""
        self._begun = 0
        """The same since the last event that is no turn."""
        self.busy = False
        """What the last event leads to is not done: ``go_on`` before the next one."""
        self._resolved: dict[str, str] = {}
        """Incidents on which an operator's word was heard, and whose: the first one counts."""
        self.started: ExecutionStarted | None = None
        self.undo: UndoRequested | None = None
        """Whoever ran it undoes it, although it had completed."""
        self._conclusion: Complete | Fault | Cancel | None = None
        self._fed = 0
        self._stops: tuple[tuple[int, str], ...] = ()
        """Events, by their number, and the tasks that then wait for ``ExecutionRestarted`` to begin: the next first."""
        self._cut: tuple[Frame, Json, float] | None = None
        """The task that waits for it, what goes into it, and since when."""

    @property
    def rules(self) -> int:
        """Those that the execution began with."""
        return RULES if self.started is None else self.started.engine

    @property
    def owed(self) -> int:
        """Commands without an answer."""
        return len(self._waits)

    @property
    def timers(self) -> int:
        return sum(type(wait[0]) is StartTimer for wait in self._waits.values())

    @property
    def listeners(self) -> int:
        return sum(type(wait[0]) is Subscribe for wait in self._waits.values())

    @property
    def tasks(self) -> int:
        """Begun since the last event that is no turn."""
        return self._begun

    @property
    def status(self) -> Status:
        if self._conclusion is not None:
            kind = type(self._conclusion)
            return "completed" if kind is Complete else "faulted" if kind is Fault else "cancelled"
        if self._phase == "pending" or self._queued:
            return "pending"
        if self._held is not None:
            return "suspended"
        kinds = {type(wait[0]) for wait in self._waits.values()}
        if Call in kinds or RunProcess in kinds or TakeTurn in kinds:
            return "running"
        if OpenIncident in kinds:
            return "suspended"
        return "waiting" if kinds & {StartTimer, Subscribe, StartChild, CancelChild, UndoChild} else "running"

    def pending(self) -> list[Command]:
        """Commands that the events fed so far leave unanswered, in the order in which they were given.

        Meant for recovery: registrations, incidents and the conclusion count as unanswered until their event is fed.
        """
        return [command for key, (command, _, _) in self._waits.items() if key not in self._opened]

    def longest(self, timer: StartTimer) -> float:
        """Seconds that it was to wait for when it was asked for."""
        found = self._waits.get(timer.id)
        return timer.at - (self.now if found is None else found[2])

    @property
    def incidents(self) -> list[str]:
        """Those that wait for an operator's word."""
        return [key for key, (command, _, _) in self._waits.items() if isinstance(command, OpenIncident)]

    def waiting(self) -> list[Reason]:
        """Why the execution waits, one reason for each thing it waits for; empty when it has ended."""
        if self._phase in ("pending", "concluded"):
            return []
        reasons: list[Reason] = []
        if self._queued and self.started is not None:
            reasons.append(ForPlace(task="", since=self.started.at))
        held = self._held
        if held is not None:
            reasons.append(ForOperator(task="", since=held.at, by=held.by, reason=held.reason))
        for command, owner, since in self._waits.values():
            if isinstance(command, _WAITED):
                reasons.append(owner.waits_for(command, since))
        return reasons

    @property
    def held(self) -> SuspendRequested | None:
        """Who suspended it."""
        return self._held

    @property
    def forward(self) -> bool:
        """It has not failed, is not being cancelled, and has not ended."""
        return self._phase == "running"

    def decided(self, incident: str) -> str | None:
        """Who has decided on an incident."""
        return self._resolved.get(incident)

    @property
    def about_to_begin(self) -> str | None:
        """The task that waits for ``ExecutionRestarted``, with its iterations."""
        return None if self._cut is None else self._cut[0].identity

    @property
    def undisturbed(self) -> bool:
        """It goes forward: nothing is being stopped, undone or held."""
        return self.forward and self.draining == 0 and self._held is None and not self._drained

    def wants(self, listener: str, event: Json) -> bool:
        """Whether a listener would take an event now, which is a CloudEvent."""
        found = self._waits.get(listener)
        return found is not None and isinstance(found[0], Subscribe) and bool(found[1].wants(event))

    def timeline(self) -> list[dict[str, Json]]:
        """What happened, in the order in which it began: ``task name kind attempt at until outcome``, and where they
        apply ``path`` (iterations), ``call``, ``undoes``, ``error``. Times are seconds since the epoch."""
        return self.runs.show()
