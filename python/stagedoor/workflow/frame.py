"""One task while it runs: the data flow that all kinds share. The machine's state is a tree of frames."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from stagedoor.workflow import arguments
from stagedoor.workflow.commands import Command
from stagedoor.workflow.deadline import Deadline
from stagedoor.workflow.definition import Task
from stagedoor.workflow.error import Failure, standard
from stagedoor.workflow.expression import AUTHORIZATION, Environment, truthy
from stagedoor.workflow.retry import evaluate
from stagedoor.workflow.waiting import Reason

if TYPE_CHECKING:
    from stagedoor.workflow.machine import Machine
    from stagedoor.workflow.timeline import Entry
    from stagedoor.workflow.undo import Undo

Json = Any


class Parent(Protocol):
    """Who a frame tells how it ended. Exactly one of these is called, once, unless the frame is cancelled."""

    def child_done(self, child: Frame, output: Json, then: str) -> None: ...
    def child_failed(self, child: Frame, failure: Failure) -> None: ...


class Strand:
    """What the tasks of one line of execution share: the workflow's, one branch's, or one undo's."""

    __slots__ = ("context", "undoes")

    def __init__(self, context: Json, undoes: str | None = None) -> None:
        self.context = context
        self.undoes = undoes
        """The reference of the task that is being undone here."""


class Scope:
    """An environment with further variables, for the expressions of a ``catch`` or a compensation."""

    __slots__ = ("_inner", "_variables")

    def __init__(self, inner: Environment, variables: dict[str, Json]) -> None:
        self._inner = inner
        self._variables = variables

    @property
    def reference(self) -> str:
        return self._inner.reference

    @property
    def now(self) -> float:
        return self._inner.now

    @property
    def rules(self) -> int:
        return self._inner.rules

    def variable(self, name: str) -> Json:
        return self._variables[name] if name in self._variables else self._inner.variable(name)


class Frame:
    """A subclass says in ``begin`` what its kind does; it ends with ``complete`` or ``fail``."""

    __slots__ = (
        "cancelled",
        "deadline",
        "ended",
        "entry",
        "input",
        "locals",
        "machine",
        "output",
        "parent",
        "path",
        "started",
        "strand",
        "task",
        "undo",
    )

    transparent: ClassVar[bool] = False
    """True for a task that ends as its one child does, even when it is cancelled while that waits for an answer."""

    def __init__(
        self, machine: Machine, task: Any, parent: Parent, path: str, strand: Strand, variables: dict[str, Json]
    ) -> None:
        self.machine = machine
        self.task = task
        self.parent = parent
        self.path = path
        """Iterations of the loops around it and rounds of jumps back; with the reference, it names this run."""
        self.strand = strand
        self.locals = variables
        """Variables of the loops and catches around it, with their ``$``."""
        self.input: Json = None
        self.output: Json = None
        self.started: float | None = None
        self.cancelled = False
        self.ended = False
        """By itself; it has nothing left to stop, and what ended before it began never had."""
        self.deadline: Deadline | None = None
        self.undo: Undo | None = None
        self.entry: Entry | None = None

    @property
    def reference(self) -> str:
        reference: str = self.task.reference
        return reference

    @property
    def now(self) -> float:
        return self.machine.now

    @property
    def rules(self) -> int:
        return self.machine.rules

    @property
    def identity(self) -> str:
        return f"{self.task.reference}{self.path}"

    @property
    def repeatable(self) -> bool:
        """Whether another run with the same identity may follow: below what is tried again. Every other run is the
        only one of its identity, since loops and jumps back give a path of its own to each round."""
        parent = self.parent
        while isinstance(parent, Frame):
            if parent.retrying:
                return True
            parent = parent.parent
        return parent is not self.machine

    @property
    def retrying(self) -> bool:
        """Whether what is below may be run again by this frame."""
        return False

    def variable(self, name: str) -> Json:
        if name == "$input":
            return self.input
        if name == "$context":
            return self.strand.context
        if name == "$output":
            return self.output
        if name == "$workflow":
            return arguments.workflow(self.machine)
        if name == "$runtime":
            return arguments.runtime(self.machine.rules)
        if name == "$task":
            return arguments.task(self)
        if name == AUTHORIZATION and name not in self.locals:
            return self.authorization()
        return self.locals[name]

    def authorization(self) -> Json:
        """By what its call proved itself, as far as it may be told; None without a call or a proof."""
        return None

    def start(self, raw: Json) -> None:
        """Called by the machine's loop with the raw input. Raises nothing."""
        task: Task = self.task
        self.input = raw
        machine = self.machine
        self.started = machine.now
        if not task.hidden:
            self.entry = machine.timeline_entry(self)
        runs = False
        try:
            if task.input_schema is not None:
                task.input_schema.check(raw, self)
            if task.input_from is not None:
                self.input = task.input_from(self, raw)
            if task.condition is not None and not truthy(task.condition(self, self.input)):
                self._ended("skipped")
                self.parent.child_done(self, raw, "continue")
                return
            runs = True
            machine.moved("created", self)
            machine.moved("started", self)
            if task.timeout is not None:
                self.deadline = Deadline(self, evaluate(task.timeout, self, self.input))
            if task.compensation is not None and task.compensation.on_start:
                machine.saga.register(self, None, "unknown")
            self.begin()
        except Failure as failure:
            if not runs:
                machine.moved("created", self)
            self.fail(failure)

    def begin(self) -> None:
        """Do what the kind does. May raise ``Failure`` only from its own expressions."""
        raise NotImplementedError

    def complete(self, raw: Json, then: str | None = None) -> None:
        """The kind's work is done with this raw output. ``then`` overrides the task's own directive. Raises nothing."""
        task: Task = self.task
        self.output = raw
        try:
            if task.output_as is not None:
                self.output = task.output_as(self, raw)
            if task.output_schema is not None:
                task.output_schema.check(self.output, self)
            if task.export_as is not None:
                context = task.export_as(self, self.output)
                if task.export_schema is not None:
                    task.export_schema.check(context, self)
                self.strand.context = context
            if task.attributes is not None:
                self.machine.set_attributes(self.identity, task.attributes.of(self, self.output), self)
            if task.compensation is not None or task.mark is not None:
                self.machine.saga.completed(self)
        except Failure as failure:
            # What was done is done, even if its output is of no use: it must be undone all the same.
            if task.compensation is not None:
                self.machine.saga.register_anyway(self, failure)
            self.fail(failure)
            return
        self._ended("completed")
        if self.cancelled:
            self.drained()
        else:
            self.machine.moved("completed", self)
            self.parent.child_done(self, self.output, then or task.then)

    def fail(self, failure: Failure) -> None:
        """Raises nothing."""
        if failure.unknown:
            self._doubt()
        self._ended("unknown" if failure.unknown else "failed", failure.error)
        if self.cancelled:
            if failure.unknown:
                self.machine.doubts += 1
            self.drained(failure)
        else:
            self.machine.moved("faulted", self, failure.error)
            self.parent.child_failed(self, failure)

    def expire(self, seconds: float) -> None:
        """The time is over: everything below stops, and calls on their way are waited for before anything is undone."""
        failure = late(self, seconds)
        self.deadline = None
        before = self.machine.doubts
        self.cancel(drain=True, late=True)
        self._ended("failed", failure.error)
        self.machine.moved("faulted", self, failure.error)
        failure.unknown = self.machine.doubts > before
        if failure.unknown:
            self._doubt()
            if self.entry is not None:
                self.entry.outcome = "unknown"
        self.parent.child_failed(self, failure)

    def _doubt(self) -> None:
        """It may have been carried out: its undo is due all the same."""
        if self.task.compensation is not None or self.task.mark is not None:
            self.machine.saga.doubted(self)

    def cancel(self, *, drain: bool, late: bool = False) -> None:
        """Stop, with everything below. ``drain`` waits for calls on their way that may change something; ``late``: it
        fails, since its time is over."""
        if self.cancelled:
            return
        self.cancelled = True
        if self.deadline is not None:
            self.deadline.withdraw()
        if self.started is not None and not self.ended:
            if self.entry is not None:
                self._ended("cancelled")
            if not late:
                self.machine.moved("cancelled", self)
            self.stop(drain=drain)

    def stop(self, *, drain: bool) -> None:
        """What the kind does about its children, calls and timers. By default it has none."""

    def drained(self, failure: Failure | None = None) -> None:
        """A cancelled frame's call has ended after all: what called it through a function ends with it."""
        parent = self.parent
        if isinstance(parent, Frame) and parent.transparent and parent.cancelled:
            if failure is None:
                parent.complete(self.output)
            else:
                parent.fail(failure)

    def waits_for(self, command: Command, since: float) -> Reason:
        """Why this frame waits for the answer to a command."""
        raise NotImplementedError

    def _ended(self, outcome: str, error: Json = None) -> None:
        self.ended = outcome != "cancelled"
        if self.deadline is not None:
            self.deadline.withdraw()
        entry = self.entry
        if entry is not None:
            entry.until = self.machine.now
            entry.outcome = outcome
            entry.error = error


def late(frame: Frame, seconds: float) -> Failure:
    """It took longer than it may."""
    # Before rules 4 a million seconds were 1e+06.
    detail = f"not done within {seconds:.15g} s" if frame.rules > 3 else f"not done within {seconds:g} s"
    return Failure(standard("timeout", 408, "Timeout", frame.reference, detail))
