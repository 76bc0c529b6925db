"""What can be undone: registered with its arguments when it is done, run when its scope fails, and reported."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, Literal

from stagedoor.workflow.address import addresses
from stagedoor.workflow.child_undo import ChildUndo
from stagedoor.workflow.commands import RegisterCompensation
from stagedoor.workflow.definition import SagaPolicy
from stagedoor.workflow.error import Failure, standard
from stagedoor.workflow.events import CompensationRegistered, Outlook
from stagedoor.workflow.frame import Frame, Scope
from stagedoor.workflow.undo import Undo
from stagedoor.workflow.unwinding import Unwinding

if TYPE_CHECKING:
    from stagedoor.workflow.machine import Machine

Json = Any


class Irreversible:
    """A completed task that says that nothing undoes it."""

    __slots__ = ("path", "reference")

    def __init__(self, forward: Frame) -> None:
        self.reference, self.path = forward.reference, forward.path

    def report(self) -> dict[str, Json]:
        entry: dict[str, Json] = {"task": self.reference, "call": ""}
        if self.path:
            entry["iteration"] = self.path
        return entry | {"status": "irreversible", "attempts": 0}


class Saga:
    """All undos of one execution, in the order in which their tasks completed."""

    __slots__ = ("_count", "_due", "_numbers", "_runs", "_seen", "begun", "entries", "machine", "policy")

    def __init__(self, machine: Machine, policy: SagaPolicy) -> None:
        self.machine = machine
        self.policy = policy
        self.entries: dict[int, Undo | Irreversible] = {}
        """By the number of their registration, and so in its order."""
        self.begun = False
        """The workflow itself is undone."""
        self._count = 0
        self._due: dict[Frame | None, deque[Undo]] = {}
        """What was registered in each scope; some of it may be undone or registered anew since."""
        self._numbers: dict[str, int] = {}
        self._runs: dict[tuple[str, str, int], Undo] = {}
        """By the task's address, its path and its attempt: of tasks that may run again."""
        self._seen: dict[str, int] = {}

    # Registering

    def completed(self, forward: Frame) -> None:
        """A task is done that the saga knows of. Raises ``Failure`` when its arguments' expression fails; nothing is
        registered then."""
        task = forward.task
        if task.compensation is not None:
            self.register(forward, forward.output, "completed")
        elif task.mark == "pivot":
            self.keep()
        elif task.mark == "irreversible":
            self._count += 1
            self.entries[self._count] = Irreversible(forward)

    def ran(self, forward: Frame, child: str, outlook: Outlook) -> None:
        """A workflow that a task ran has completed; ``outlook`` is what of it can be undone."""
        self._count += 1
        if outlook == "irreversible":
            self.entries[self._count] = Irreversible(forward)
            return
        scope = scope_of(forward)
        undo = self.entries[self._count] = ChildUndo(forward, child, scope, self._count)
        self._due.setdefault(scope, deque()).append(undo)

    @property
    def outlook(self) -> Outlook | None:
        """What of it can be undone by whoever ran this workflow, now that it has completed. None: it did nothing that
        it knows of."""
        if self._registered():
            return "due"
        standing = any(isinstance(each, Irreversible) or each.status == "kept" for each in self.entries.values())
        return "irreversible" if standing else None

    def doubted(self, forward: Frame) -> None:
        """A task may be done, or not."""
        task = forward.task
        if task.compensation is not None:
            try:
                self.register(forward, None, "unknown")
            except Failure as broken:
                self.register_anyway(forward, broken)
        elif task.mark == "pivot":
            detail = f"the outcome of {forward.reference} is unknown, and after it nothing before it is undone"
            for undo in self._registered():
                undo.failure = Failure(standard("runtime", 500, "Unknown pivot", forward.reference, detail))

    def register(self, forward: Frame, output: Json, outcome: Literal["completed", "unknown"]) -> None:
        """Raises ``Failure`` when the arguments' expression fails; nothing is registered then."""
        compensation = forward.task.compensation
        assert compensation is not None
        arguments = output
        if compensation.arguments is not None:
            arguments = compensation.arguments(Scope(forward, {"$output": output, "$outcome": outcome}), output)
        self._add(forward, arguments, outcome, None)

    def register_anyway(self, forward: Frame, failure: Failure) -> None:
        """Its output or arguments cannot be evaluated: the undo becomes an operator's, or fails, as its policy says."""
        self._add(forward, None, "unknown" if failure.unknown else "completed", failure)

    def _add(
        self, forward: Frame, arguments: Json, outcome: Literal["completed", "unknown"], failure: Failure | None
    ) -> None:
        sendings = self.machine.identifiers.sendings.get(forward.identity)
        group = sendings.group if sendings is not None else 0
        # Registered before: at its start, or by an earlier run that sent the same key. One effect, one undo.
        run = None
        earlier = forward.undo
        if forward.repeatable:
            run = (str(addresses(self.machine.definition).of(forward.task)), forward.path, group)
            earlier = earlier or self._runs.get(run)
        if earlier is not None:
            self.entries.pop(earlier.number, None)
        scope = scope_of(forward)
        self._count += 1
        undo = Undo(forward, group, scope, self._count)
        undo.arguments, undo.outcome, undo.failure = arguments, outcome, failure
        self.entries[undo.number] = undo
        self._due.setdefault(scope, deque()).append(undo)
        forward.undo = undo
        if run is not None:
            self._runs[run] = undo
        number = self._numbers[undo.reference] = self._numbers.get(undo.reference, 0) + 1
        self.machine.tell(f"{undo.reference}!{number}", RegisterCompensation(undo.reference, arguments), undo)

    def confirmed(self, event: CompensationRegistered) -> Undo | None:
        """The log's arguments count. None if nothing was registered for that task."""
        number = self._seen.get(event.task, 0) + 1
        undo = self.machine.told(f"{event.task}!{number}")
        if isinstance(undo, Undo):
            self._seen[event.task] = number
            undo.arguments = event.arguments
            return undo
        return None

    def keep(self) -> None:
        """Nothing that was done so far is undone here any more: the pivot is done, or it is not this execution's to
        undo."""
        for undo in self._registered():
            undo.status = "kept"

    def _registered(self, scope: Frame | None = None, *, under_way: bool = False) -> list[Undo]:
        """In the order of their registration: of one scope, or of all of them. ``under_way``: also those that have
        begun and are not settled."""
        chosen: list[Undo] = []
        for each in list(self._due) if scope is None else [scope]:
            listed = self._due.get(each, ())
            due = deque(undo for undo in listed if not undo.settled and undo.number in self.entries)
            if due:
                self._due[each] = due
            else:
                self._due.pop(each, None)
            chosen += due if under_way else [undo for undo in due if undo.status == "registered"]
        chosen.sort(key=lambda undo: undo.number)
        return chosen

    # Undoing

    def begin(self) -> None:
        """Undo the workflow."""
        self.begun = True
        Unwinding(self._registered(), self.policy.parallel, self.machine.undone).begin()

    def unwind(
        self, scope: Frame | None, policy: SagaPolicy, done: Callable[[], None], task: str | None = None
    ) -> Unwinding:
        """Undo what a scope did, or only what the task of this name did in it."""
        found = self._registered(scope, under_way=self.machine.rules > 3)
        chosen = [undo for undo in found if task is None or undo.task.name == task]
        return Unwinding(chosen, policy.parallel, done)

    def hand_over(self, scope: Frame) -> None:
        """The scope has ended well: from now on its undos belong to what is around it."""
        handed = self._registered(scope, under_way=self.machine.rules > 3)
        self._due.pop(scope, None)
        if handed:
            outer = scope_of(scope)
            for undo in handed:
                undo.scope = outer
            self._due.setdefault(outer, deque()).extend(handed)

    # Reporting

    def report(self) -> dict[str, Json]:
        """``complete``: all is undone; ``failed``: nothing is; ``partial``: some is; ``none``: nothing was to be."""
        return report(self.entries.values())


def report(entries: Iterable[Undo | Irreversible]) -> dict[str, Json]:
    """Of some undos, the last one first."""
    told = [each.report() for each in entries][::-1]
    good = sum(entry["status"] in ("compensated", "done") for entry in told)
    if not told:
        status = "none"
    elif good == len(told):
        status = "complete"
    else:
        some = good or any(entry["status"] == "partial" for entry in told)
        status = "partial" if some else "failed"
    return {"status": status, "entries": told}


def scope_of(frame: Frame) -> Frame | None:
    """The list of tasks around a frame that is a saga of its own; None: the workflow."""
    parent = frame.parent
    while isinstance(parent, Frame):
        if parent.task.saga is not None:
            return parent
        parent = parent.parent
    return None
