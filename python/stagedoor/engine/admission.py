"""Executions of one workflow at once. One without a place waits; they begin in the order in which they came."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from stagedoor.engine.execution import Execution
from stagedoor.engine.limits import Share
from stagedoor.engine.slots import Place

Room = Literal["now", "later", "none"]


@dataclass(slots=True)
class Occupancy:
    under_way: set[str] = field(default_factory=set)
    queue: dict[str, Execution] = field(default_factory=dict)


class Admission:
    """``admit`` lets an execution begin. One that another execution runs has its parent's place: were it to wait for
    one of its own, both could wait for ever."""

    def __init__(self, admit: Callable[[Execution], None]) -> None:
        self._admit = admit
        self._shares: Mapping[str, Share] = {}
        self._workflows: dict[str, Occupancy] = {}

    def use(self, shares: Mapping[str, Share]) -> None:
        self._shares = shares
        for workflow in list(self._workflows):
            self.go_on(workflow)

    @property
    def queued(self) -> int:
        return sum(len(each.queue) for each in self._workflows.values())

    def room(self, workflow: str) -> Room:
        share = self._shares.get(workflow)
        found = self._workflows.get(workflow)
        if share is None or found is None:
            return "now"
        if len(found.under_way) < share.at_once and not found.queue:
            return "now"
        return "later" if len(found.queue) < share.queue else "none"

    def add(self, execution: Execution, *, queued: bool = False) -> None:
        if execution.parent is None:
            found = self._workflows.setdefault(execution.row.workflow, Occupancy())
            if queued:
                found.queue[execution.id] = execution
            else:
                found.under_way.add(execution.id)

    def remove(self, execution: Execution) -> None:
        """It has ended."""
        workflow = execution.row.workflow
        found = self._workflows.get(workflow)
        if found is None:
            return
        found.queue.pop(execution.id, None)
        found.under_way.discard(execution.id)
        if found.under_way or found.queue:
            self.go_on(workflow)
        else:
            del self._workflows[workflow]

    def recount(self, execution: Execution) -> None:
        """It is known now whether another execution runs it."""
        if execution.parent is not None:
            self.remove(execution)

    def go_on(self, workflow: str) -> None:
        """Admit whoever finds a place. One whose beginning is not in the log yet is waited for."""
        share, found = self._shares.get(workflow), self._workflows.get(workflow)
        while found is not None and found.queue and (share is None or len(found.under_way) < share.at_once):
            execution = next(iter(found.queue.values()))
            if not execution.started:
                return
            del found.queue[execution.id]
            found.under_way.add(execution.id)
            self._admit(execution)

    def place(self, execution: Execution) -> tuple[Place, int] | None:
        """In the queue, and how many are under way at once; None if it does not wait."""
        found = self._workflows.get(execution.row.workflow)
        if found is None or execution.id not in found.queue:
            return None
        share = self._shares.get(execution.row.workflow)
        number = list(found.queue).index(execution.id) + 1
        return Place(number, len(found.queue), execution.row.created), 0 if share is None else share.at_once
