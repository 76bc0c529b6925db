"""Who listens for events, and handing them over: to one listener one event at a time, each an event of its log."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from stagedoor.engine.execution import Execution
from stagedoor.engine.inbox import Inbox, Stored
from stagedoor.workflow.commands import Subscribe
from stagedoor.workflow.events import Event, EventReceived


class Engine(Protocol):
    """What listeners tell: an event to append, and to feed once it is committed."""

    def append(self, execution: Execution, event: Event, *, taken: int | None = None) -> None: ...
    def broken(self, execution: Execution, failure: Exception) -> None: ...


@dataclass(slots=True, eq=False)
class Listener:
    execution: Execution
    command: Subscribe
    next: int = 0
    """The first event of the inbox that it has not looked at."""
    busy: bool = False
    """An event for it is on its way into the log."""


@dataclass(slots=True)
class Listeners:
    """A listener is shown what came since its execution began; one that says by correlation what it means, also what
    came before and nobody took."""

    engine: Engine
    inbox: Inbox
    clock: Callable[[], float]
    _all: dict[tuple[str, str], Listener] = field(default_factory=dict)
    _by_type: dict[str, dict[Listener, None]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self._all)

    def add(self, execution: Execution, command: Subscribe) -> None:
        listener = Listener(execution, command)
        self._all[execution.id, command.id] = listener
        for each in command.types or ("",):
            self._by_type.setdefault(each, {})[listener] = None
        self._look(listener)

    def remove(self, execution: Execution, id: str) -> None:
        listener = self._all.pop((execution.id, id), None)
        if listener is not None:
            for each in listener.command.types or ("",):
                del self._by_type[each][listener]
                if not self._by_type[each]:
                    del self._by_type[each]

    def arrived(self, stored: Stored) -> None:
        kind: str = stored.event["type"]
        for each in (kind, "") if kind else ("",):
            for listener in list(self._by_type.get(each, ())):
                self._look(listener)

    def fed(self, execution: Execution, id: str) -> None:
        """Its machine has taken an event: the next one, if it still listens."""
        listener = self._all.get((execution.id, id))
        if listener is not None:
            listener.busy = False
            self._look(listener)

    def _look(self, listener: Listener) -> None:
        execution, events, types = listener.execution, self.inbox.events, listener.command.types
        machine = execution.machine
        if listener.busy or machine is None or execution.broken is not None or execution.final is not None:
            return
        index = self.inbox.first(listener.next)
        while index < len(events):
            stored = events[index]
            index += 1
            listener.next = stored.n + 1
            if types and stored.event["type"] not in types:
                continue
            if _earlier(stored, execution) and (stored.taken or not listener.command.correlated):
                continue
            try:
                wanted = machine.wants(listener.command.id, stored.event)
            except Exception as failure:  # noqa: BLE001 - logged, and one execution's own
                self.engine.broken(execution, failure)
                return
            if wanted:
                listener.busy = stored.taken = True
                event = EventReceived(self.clock(), listener.command.id, stored.event)
                self.engine.append(execution, event, taken=stored.n)
                return


def _earlier(stored: Stored, execution: Execution) -> bool:
    """Whether it came before the execution began. By the clock alone, which may have been set since, where only the
    store knows of both."""
    if stored.n > execution.after:
        return False
    return not execution.recovered or stored.at < execution.row.created
