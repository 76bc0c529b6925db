"""What tasks ask for, and what is noted of them."""

from __future__ import annotations

from typing import Any, Literal

from stagedoor.workflow.commands import (
    Call,
    CancelCall,
    CancelChild,
    CancelProcess,
    CancelTimer,
    Emit,
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
from stagedoor.workflow.definition import Task
from stagedoor.workflow.event_filter import same
from stagedoor.workflow.frame import Frame
from stagedoor.workflow.identifiers import Owner
from stagedoor.workflow.move import Correlating, Move, What
from stagedoor.workflow.state import State
from stagedoor.workflow.tasks.calling import CallTask
from stagedoor.workflow.timeline import Entry

Json = Any


class Asking(State):
    """Commands go out in the order in which they were given; those that are answered are kept until they are."""

    __slots__ = ()

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

    def renew(self, task: Task, path: str) -> None:
        """What these calls did is undone: their next run is a new attempt with a key of its own."""
        self.identifiers.renew(task.reference, path, alone=isinstance(task, CallTask))

    # What becomes of tasks

    def note(self, entry: Entry) -> Entry:
        """Put something on the timeline."""
        return self.runs.add(entry)

    def timeline_entry(self, frame: Frame) -> Entry:
        task = frame.task
        return self.runs.add(Entry(task.reference, task.name, task.kind, frame.path, self.now, frame.strand.undoes))

    def moved(self, what: What, frame: Frame, error: Json = None) -> None:
        if self.moves is not None and not frame.task.hidden:
            self.moves.append(Move(what, frame.reference, frame.path, frame.strand.undoes, error))

    def correlating(self, what: Literal["started", "completed"], frame: Frame, keys: dict[str, Json]) -> None:
        if self.moves is not None:
            self.moves.append(Correlating(what, frame.reference, frame.path, keys))

    def all_moved(self, what: What) -> None:
        """Every task that has begun and not ended."""
        if self.moves is not None:
            self.moves += [Move(what, each.task, each.path, each.undoes) for each in self.runs.running()]
