"""The machine: feed it what has happened, it says what to do next. Its state is the fold of its events.

No I/O, clock or randomness. Feeding a history again yields the same state and the same commands, so recovery is: feed
every event of the log, or ``restore`` a snapshot and feed those behind it, then carry out ``pending()``.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Literal

from stagedoor.errors import StagedoorError
from stagedoor.workflow import snapshot
from stagedoor.workflow.commands import (
    Call,
    Cancel,
    CancelCall,
    CancelChild,
    CancelProcess,
    CancelTimer,
    Command,
    Complete,
    Emit,
    Fault,
    OpenIncident,
    RegisterCompensation,
    RunProcess,
    SetAttributes,
    StartChild,
    StartTimer,
    Subscribe,
    TakeTurn,
    UndoChild,
    Unsubscribe,
)
from stagedoor.workflow.consumption import Taken
from stagedoor.workflow.definition import Definition, Task
from stagedoor.workflow.error import Failure, standard
from stagedoor.workflow.event_filter import same
from stagedoor.workflow.events import (
    RULES,
    AttributesSet,
    CallCompleted,
    CallFailed,
    CallUnknown,
    CancelRequested,
    ChildEnded,
    ChildStarted,
    ChildUndone,
    CompensationRegistered,
    Event,
    EventEmitted,
    EventReceived,
    ExecutionAdmitted,
    ExecutionCancelled,
    ExecutionCompleted,
    ExecutionFaulted,
    ExecutionMigrated,
    ExecutionRestarted,
    ExecutionStarted,
    IncidentOpened,
    IncidentResolved,
    LimitReached,
    ProcessEnded,
    ProcessFailed,
    ResumeRequested,
    SuspendRequested,
    TimerFired,
    TurnTaken,
    UndoRequested,
)
from stagedoor.workflow.frame import Frame, Strand
from stagedoor.workflow.identifiers import Identifiers, Owner
from stagedoor.workflow.limit import reached
from stagedoor.workflow.move import Move, What
from stagedoor.workflow.saga import Saga
from stagedoor.workflow.tasks.calling import CallTask
from stagedoor.workflow.timeline import Entry, Timeline
from stagedoor.workflow.waiting import ForOperator, ForPlace, ForTurn, Reason

Json = Any
Wait = tuple[Command, Any, float]
"""A command whose answer is owed, who gave it, and when."""
Status = Literal["pending", "running", "waiting", "suspended", "completed", "faulted", "cancelled"]

TURNS = "turn@"
TURN = 1000
"""Tasks that one event starts at most, without waiting for anything; then the others have their turns."""
MAX_TRANSITIONS = 20_000
"""The same by rules 1 and 2, where more was taken for a loop without end."""


class ReplayMismatch(StagedoorError):
    """The history does not belong to this definition or to this version of the machine."""


class Machine:
    """One execution of one definition."""

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
        self.saga = Saga(self, definition.saga)
        self.identifiers = Identifiers()
        self.draining = 0
        """Calls on their way whose tasks are cancelled already."""
        self.doubts = 0
        """Ever counted up when a task is stopped that may have been carried out."""
        self.attributes: dict[str, Json] = {}
        """What the execution is about."""
        self.taken = Taken()
        self.moves: list[Move] | None = None
        """Of tasks, in their order, for whoever puts a list here and takes it away; no part of the state."""
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

    # What drivers use

    def feed(self, event: Event, enough: Callable[[], bool] | None = None) -> list[Command]:
        """Raises ``ReplayMismatch`` if the event cannot have happened in this execution. ``enough`` is asked before
        each further task: when it says so, the machine stops and is ``busy``. That changes nothing but the time."""
        handler = _HANDLERS.get(type(event))
        if handler is None:
            raise ReplayMismatch(f"{type(event).__name__} is not an event")
        if (self.started is None) is not (type(event) is ExecutionStarted):
            raise ReplayMismatch(f"{type(event).__name__} is out of place: an execution is started once, and first")
        if self.busy:
            self._run(None)
        self.now = event.at
        self._fed += 1
        self._transitions = 0
        if self._turn is None:
            self._begun = 0
        handler(self, event)
        return self.go_on(enough)

    def go_on(self, enough: Callable[[], bool] | None = None) -> list[Command]:
        """What is left of the last event, where the machine is ``busy``."""
        self._run(enough)
        commands, self._out = self._out, []
        return commands

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

    @property
    def incidents(self) -> list[str]:
        """Those that wait for an operator's word."""
        return [key for key, (command, _, _) in self._waits.items() if isinstance(command, OpenIncident)]

    def snapshot(self) -> Json:
        """The state between two events, as JSON: ``restore`` goes on from it as if all events so far were fed again."""
        return snapshot.write(self)

    @classmethod
    def restore(cls, definition: Definition, state: Json) -> Machine:
        """Raises ``SnapshotUnreadable`` if it was taken by another definition, or has a form that is not known."""
        machine = cls(definition)
        snapshot.read(machine, state, RULES)
        return machine

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

    def waits_for(self, command: Command, since: float) -> Reason:
        """As an owner of commands: for its turn."""
        task = self._agenda[0][0].reference if self._agenda else ""
        return ForTurn(task=task, since=since, tasks=self._begun)

    def wants(self, listener: str, event: Json) -> bool:
        """Whether a listener would take an event now, which is a CloudEvent."""
        found = self._waits.get(listener)
        return found is not None and isinstance(found[0], Subscribe) and bool(found[1].wants(event))

    def timeline(self) -> list[dict[str, Json]]:
        """What happened, in the order in which it began: ``task name kind attempt at until outcome``, and where they
        apply ``path`` (iterations), ``call``, ``undoes``, ``error``. Times are seconds since the epoch."""
        return self.runs.show()

    # What frames use

    def schedule(self, frame: Frame, data: Json) -> None:
        """Start a frame in the machine's loop, not on the caller's stack: a long loop does not grow it."""
        self._agenda.append((frame, data))

    def ask(
        self, command: Call | Subscribe | StartChild | UndoChild | RunProcess | OpenIncident | TakeTurn, owner: Any
    ) -> None:
        self._waits[command.id] = (command, owner, self.now)
        self._out.append(command)

    def tell(self, key: str, command: RegisterCompensation | SetAttributes | Emit, owner: Any) -> None:
        self._waits[key] = (command, owner, self.now)
        self._out.append(command)

    def set_attributes(self, prefix: str, values: dict[str, Json], owner: Frame) -> None:
        """None: it has it no more. What it has already is not said again."""
        changed = {name: value for name, value in values.items() if not same(self.attributes.get(name), value)}
        if not changed:
            return
        known = self.attributes | changed
        self.attributes = {name: value for name, value in known.items() if value is not None}
        command = SetAttributes(self.number(f"{prefix}!attributes", owner), changed)
        self.tell(command.id, command, self)

    def emit(self, command: Emit, owner: Any) -> None:
        self.tell(command.id, command, owner)

    def told(self, key: str) -> Any:
        """Who gave the command that an event now confirms, or None."""
        found = self._waits.pop(key, None)
        return found[1] if found else None

    def number(self, prefix: str, owner: Owner) -> str:
        """An id that was not given before: ``PREFIX@NUMBER``."""
        return self.identifiers.number(prefix, owner)

    def start_timer(self, prefix: str, seconds: float, owner: Any, least: int = 1) -> str:
        command = StartTimer(self.identifiers.number(prefix, owner, least), self.now + seconds)
        self._waits[command.id] = (command, owner, self.now)
        self._out.append(command)
        return command.id

    def replace(self, command: CancelChild, owner: Any) -> None:
        """What is waited for from now on: the end of what was begun by the command with the same id."""
        if command.id in self._waits:
            self._waits[command.id] = (command, owner, self.now)
            self._out.append(command)

    def withdraw(self, command: CancelCall | CancelTimer | Unsubscribe | CancelChild | CancelProcess) -> None:
        if self._waits.pop(command.id, None) is not None:
            self._out.append(command)

    def drain(self, call: str) -> None:
        """Wait for the answer to a call whose task is cancelled, before anything is undone."""
        if call in self._waits:
            self.draining += 1
            self.doubts += 1

    @property
    def rules(self) -> int:
        """Those that the execution began with."""
        return RULES if self.started is None else self.started.engine

    def renew(self, task: Task, path: str) -> None:
        """What these calls did is undone: their next run is a new attempt with a key of its own."""
        self.identifiers.renew(task.reference, path, alone=isinstance(task, CallTask))

    def when_drained(self, then: Callable[[], None]) -> None:
        """As soon as no call of a cancelled task is on its way any more."""
        self._drained.append(then)

    def end(self, frame: Frame, output: Json) -> None:
        """``then: end``: the outermost list around the frame ends with this output."""
        top = frame
        while isinstance(top.parent, Frame):
            top = top.parent
        top.cancel(drain=False)
        top.parent.child_done(top, output, "end")

    def note(self, entry: Entry) -> Entry:
        """Put something on the timeline."""
        return self.runs.add(entry)

    def moved(self, what: What, frame: Frame, error: Json = None) -> None:
        if self.moves is not None and not frame.task.hidden:
            self.moves.append(Move(what, frame.reference, frame.path, frame.strand.undoes, error))

    def _all_moved(self, what: What) -> None:
        """Every task that has begun and not ended."""
        if self.moves is not None:
            self.moves += [Move(what, each.task, each.path, each.undoes) for each in self.runs.running()]

    def timeline_entry(self, frame: Frame) -> Entry:
        task = frame.task
        return self.runs.add(Entry(task.reference, task.name, task.kind, frame.path, self.now, frame.strand.undoes))

    def undone(self) -> None:
        """The saga is over."""
        compensation = self.saga.report()
        if self.error is not None:
            self._conclude(Fault(self.error, compensation))
        else:
            self._conclude(Cancel(self._reason or "", compensation))

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

    # Events

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

    def _break(self, frame: Frame, error: dict[str, Json]) -> None:
        """The workflow, or the undo, to which the frame belongs fails; nothing within catches it."""
        top = frame
        while isinstance(top.parent, Frame):
            top = top.parent
        top.cancel(drain=True)
        top.parent.child_failed(top, Failure(error, fatal=True))

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

    def _on_started(self, event: ExecutionStarted) -> None:
        definition = self.definition
        if event.definition != self.began:
            raise ReplayMismatch(f"the execution began with another version of {definition.key}")
        if event.engine > RULES:
            raise ReplayMismatch(f"the execution began with rules {event.engine}, this machine knows up to {RULES}")
        self.started = event
        self.execution = event.execution
        origin = event.resumes
        if origin is not None:
            # What was done before the restart was done under that id, and has it in its data.
            self.execution = origin["began"]
            self._stops = tuple((number, task) for number, task in origin["stops"])
        self.input = event.input
        self._phase = "running"
        self._queued = event.queued
        root = definition.root
        self._root = root.frame(self, root, self, "", Strand({}), {})
        try:
            if definition.input_schema is not None:
                definition.input_schema.check(event.input, self._root)
            data = definition.input_from(self._root, event.input) if definition.input_from is not None else event.input
            if definition.attributes is not None:
                self.set_attributes("", definition.attributes.of(self._root, data), self._root)
        except Failure as failure:
            self.child_failed(self._root, failure)
            return
        self.input = data
        self.schedule(self._root, data)

    def _on_admitted(self, event: ExecutionAdmitted) -> None:
        if self.started is None or not self.started.queued:
            raise ReplayMismatch("an execution that was not queued needs no admission")
        self._queued = False

    def _on_turn(self, event: TurnTaken) -> None:
        if self.told(event.turn) is not None:
            self._turn = None
            return
        number = event.turn.removeprefix(TURNS)
        if not number.isdecimal() or not 0 < int(number) <= self._turns:
            raise ReplayMismatch(f"the turn {event.turn!r} was never asked for")

    def _on_limit(self, event: LimitReached) -> None:
        if event.limit == "tasks":
            # Of an undo too, which would not end either.
            if self._turn is not None:
                self.told(self._turn)
                self._turn, self._begun = None, 0
            frame = next((frame for frame, _ in self._agenda if not frame.cancelled), None)
            if frame is not None:
                self._break(frame, reached(event.limit, event.most, frame.reference))
        elif self._phase == "running" and self._root is not None:
            self._break(self._root, reached(event.limit, event.most, ""))

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

    def _on_cancel(self, event: CancelRequested) -> None:
        if self._phase == "running" and self._root is not None:
            self._reason = event.reason
            self._phase = "ending"
            self._held = None
            self._queued = False
            self._root.cancel(drain=True)

    def _on_undone(self, event: ChildUndone) -> None:
        undo = self.told(event.run)
        if undo is not None:
            undo.child_undone(event)
        elif not self.identifiers.numbered(event.run):
            raise ReplayMismatch(f"{event.run!r} was never asked to be undone")

    def _on_undo(self, event: UndoRequested) -> None:
        if not isinstance(self._conclusion, Complete) or "conclusion" in self._waits:
            raise ReplayMismatch("only what has completed is undone by whoever ran it")
        self.undo, self._reason, self._held = event, event.reason, None
        self._conclusion = None
        self._phase = "undoing"
        self.saga.begin()

    def _on_suspend(self, event: SuspendRequested) -> None:
        if self._phase == "running" and self._held is None:
            self._held = event
            self._all_moved("suspended")

    def _on_resume(self, event: ResumeRequested) -> None:
        if self._held is not None:
            self._all_moved("resumed")
        self._held = None

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

    def _on_migrated(self, event: ExecutionMigrated) -> None:
        # What this definition says of attributes is told together with this event.
        for id, (command, _, _) in list(self._waits.items()):
            if isinstance(command, SetAttributes):
                del self._waits[id]

    def _on_restarted(self, event: ExecutionRestarted) -> None:
        if self._cut is None or self._cut[0].identity != event.task:
            raise ReplayMismatch(f"nothing was about to begin at {event.task}")
        frame, data, since = self._cut
        self._cut, self._stops = None, self._stops[1:]
        self.execution = event.execution
        # Time has stood still.
        stood = event.at - since
        for id, (command, owner, asked) in list(self._waits.items()):
            if isinstance(command, StartTimer):
                self._waits[id] = (StartTimer(id, command.at + stood), owner, asked + stood)
        if event.undos == "left":
            self.saga.keep()
        if "context" in event.edited:
            frame.strand.context = event.context
        self._agenda.appendleft((frame, event.input if "input" in event.edited else data))

    def _on_completed(self, event: ExecutionCompleted) -> None:
        self._confirm(isinstance(self._conclusion, Complete) and self._conclusion.output == event.output, event)

    def _on_faulted(self, event: ExecutionFaulted) -> None:
        own = self._conclusion
        same = isinstance(own, Fault) and own.error == event.error and own.compensation == event.compensation
        self._confirm(same, event)

    def _on_cancelled(self, event: ExecutionCancelled) -> None:
        own = self._conclusion
        same = isinstance(own, Cancel) and own.reason == event.reason and own.compensation == event.compensation
        self._confirm(same, event)

    def _confirm(self, same: bool, event: Event) -> None:
        if not same:
            raise ReplayMismatch(f"{type(event).__name__} is not what this machine came to (it is {self.status})")
        self._waits.pop("conclusion", None)


_WAITED = Call | StartTimer | Subscribe | StartChild | CancelChild | UndoChild | RunProcess | OpenIncident | TakeTurn
"""Commands for whose answers an execution waits."""

_HANDLERS: dict[type, Callable[[Machine, Any], None]] = {
    ExecutionStarted: Machine._on_started,
    ExecutionAdmitted: Machine._on_admitted,
    TurnTaken: Machine._on_turn,
    LimitReached: Machine._on_limit,
    CallCompleted: Machine._on_answer,
    CallFailed: Machine._on_answer,
    CallUnknown: Machine._on_answer,
    TimerFired: Machine._on_timer,
    CompensationRegistered: Machine._on_registered,
    AttributesSet: Machine._on_attributes,
    EventEmitted: Machine._on_emitted,
    EventReceived: Machine._on_received,
    ChildStarted: Machine._on_run,
    ChildEnded: Machine._on_run,
    ChildUndone: Machine._on_undone,
    ProcessEnded: Machine._on_run,
    ProcessFailed: Machine._on_run,
    CancelRequested: Machine._on_cancel,
    UndoRequested: Machine._on_undo,
    SuspendRequested: Machine._on_suspend,
    ResumeRequested: Machine._on_resume,
    IncidentOpened: Machine._on_opened,
    IncidentResolved: Machine._on_resolved,
    ExecutionMigrated: Machine._on_migrated,
    ExecutionRestarted: Machine._on_restarted,
    ExecutionCompleted: Machine._on_completed,
    ExecutionFaulted: Machine._on_faulted,
    ExecutionCancelled: Machine._on_cancelled,
}
