"""What to do next, as the machine asks for it. Every id is derived from task reference, iteration and attempt, so a
replay yields the same commands byte for byte.

Who carries them out appends each outcome to the event log before feeding it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from stagedoor.workflow.events import Outlook
from stagedoor.workflow.manner import Manner

Json = Any


@dataclass(frozen=True, slots=True)
class Call:
    """Send a request. Answered by ``CallCompleted``, ``CallFailed`` or ``CallUnknown`` with the same id."""

    id: str
    task: str
    """The task's reference, a JSON pointer into the document, for people and for errors."""
    idempotency_key: str
    """The same for every repetition that must not be done twice."""
    method: str
    endpoint: str
    """``cluster://NAME/path`` or an absolute ``http`` URI, variables already filled in."""
    headers: dict[str, Any] = field(default_factory=dict)
    """Text; with a manner also values over secrets, and so in ``query`` and ``body``."""
    query: dict[str, Any] = field(default_factory=dict)
    body: Json = None
    output: Literal["content", "response", "raw"] = "content"
    compensates: str | None = None
    """The reference of the task that this call undoes."""
    manner: Manner | None = None
    """None: one plain HTTP request."""


@dataclass(frozen=True, slots=True)
class CancelCall:
    """Its answer is no longer wanted: drop it if it is still on its way. No event is owed."""

    id: str


@dataclass(frozen=True, slots=True)
class StartTimer:
    """Answered by ``TimerFired`` at ``at`` or as soon after it as possible."""

    id: str
    at: float


@dataclass(frozen=True, slots=True)
class CancelTimer:
    id: str


@dataclass(frozen=True, slots=True)
class RegisterCompensation:
    """Append ``CompensationRegistered`` with these arguments; need not be waited for and is not fed back."""

    task: str
    arguments: Json


@dataclass(frozen=True, slots=True)
class SetAttributes:
    """Append ``AttributesSet`` with these values, by which the execution is found; need not be waited for."""

    id: str
    values: dict[str, Any]
    """By name; None: it has it no more."""


@dataclass(frozen=True, slots=True)
class Emit:
    """Append ``EventEmitted`` with this event, and deliver it from then on, at least once; need not be waited for."""

    id: str
    task: str
    event: Json
    """A CloudEvent."""


@dataclass(frozen=True, slots=True)
class Subscribe:
    """Append an ``EventReceived`` for each event that the machine ``wants``, one at a time, until ``Unsubscribe``."""

    id: str
    task: str
    types: tuple[str, ...]
    """Of all events that can be wanted; empty: any."""
    correlated: bool
    """Events from before the execution began are for it too, unless somebody took them."""


@dataclass(frozen=True, slots=True)
class Unsubscribe:
    id: str


@dataclass(frozen=True, slots=True)
class StartChild:
    """Begin another execution, once: its id says whether it was begun before. Answered by ``ChildStarted`` if it is
    not awaited, else by ``ChildEnded``."""

    id: str
    task: str
    workflow: str
    """``namespace/name``."""
    version: str
    child: str
    """The id of the execution."""
    input: Json
    awaited: bool


@dataclass(frozen=True, slots=True)
class CancelChild:
    """Cancel the execution. ``ChildEnded`` is still owed if the machine waits for it."""

    id: str
    child: str


@dataclass(frozen=True, slots=True)
class UndoChild:
    """Undo what an execution did that has completed. Answered by ``ChildUndone``."""

    id: str
    task: str
    child: str


@dataclass(frozen=True, slots=True)
class RunProcess:
    """Run a script or a shell command. Answered by ``ProcessEnded`` or ``ProcessFailed``."""

    id: str
    task: str
    idempotency_key: str
    language: str
    """``shell``, ``js`` or ``python``."""
    code: str
    arguments: list[str]
    environment: dict[str, str]
    stdin: str


@dataclass(frozen=True, slots=True)
class CancelProcess:
    """End the process. No event is owed."""

    id: str


@dataclass(frozen=True, slots=True)
class OpenIncident:
    """Append ``IncidentOpened``; the execution is suspended until ``IncidentResolved``."""

    id: str
    task: str
    error: Json
    arguments: Json


@dataclass(frozen=True, slots=True)
class TakeTurn:
    """There is more to do at once than one event may lead to. Answered by ``TurnTaken``, as soon as others had their
    turns."""

    id: str


@dataclass(frozen=True, slots=True)
class Complete:
    output: Json
    undo: Outlook | None = None
    """Of one that another one runs: what of it can be undone."""


@dataclass(frozen=True, slots=True)
class Fault:
    error: Json
    """RFC 7807 object: the original error."""
    compensation: Json
    """``{status: complete | partial | failed | none, entries: [...]}``."""


@dataclass(frozen=True, slots=True)
class Cancel:
    reason: str
    compensation: Json


Command = (
    Call
    | CancelCall
    | StartTimer
    | CancelTimer
    | RegisterCompensation
    | SetAttributes
    | Emit
    | Subscribe
    | Unsubscribe
    | StartChild
    | CancelChild
    | UndoChild
    | RunProcess
    | CancelProcess
    | OpenIncident
    | TakeTurn
    | Complete
    | Fault
    | Cancel
)
