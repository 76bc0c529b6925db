"""What has happened in one execution. A machine's state is the fold of these; the event log stores exactly these.

``at`` is seconds since the epoch, taken by whoever observed the event: it is the only clock a machine knows.
Calls, timers and incidents are named by the id of the command that asked for them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

Json = Any
Limit = Literal["events", "size", "tasks", "timers", "listeners"]
"""What an execution may have so many of: in its history, without waiting, or at once."""

RULES = 4
"""Version of the machine's rules. 2: where retries are over and ``catch`` has no ``do``, the error goes on; in 1 it was
gone. 3: an execution that starts many tasks without waiting does so in turns; before, it failed at 20,000; and an
expression may yield a duration of years and months. 4: events that end a listener correlate with what it consumes; who
asks for undos that others have begun waits with them: before, it began those that were left, and both could begin the
same one; numbers that JSON does not have are null; seconds and kinds of values in errors are written as people do."""


Outlook = Literal["due", "irreversible"]
"""Of a workflow that was run and has completed: it has undos, or it did what nothing undoes."""


@dataclass(frozen=True, slots=True)
class ExecutionStarted:
    at: float
    execution: str
    definition: str
    """SHA-256 of the canonical document: an execution keeps the definition it began with."""
    input: Json
    consumer: str | None = None
    trace: str | None = None
    """W3C ``traceparent`` of the request that started it."""
    caller_token: bool = False
    """Whether the caller had a token that calls were made with. The token itself is not kept."""
    parent: Json = None
    """``{execution, run, depth}`` of the task that runs it."""
    queued: bool = False
    """It begins with ``ExecutionAdmitted``."""
    engine: int = RULES
    """Version of the machine's rules, so that a later machine can keep the older ones."""
    origin: Json = None
    """``{execution, event, task, edited, undos, by, reason}`` of one that was restarted from another: which one, up to
    which of its events (from 1; 0: from the start, and ``task`` is null), at which task, and what was edited of
    ``input`` and ``context``. What had happened there follows then, up to an ``ExecutionRestarted``. For that,
    ``began`` is the id under which it began, and ``stops`` are the events and tasks at which there was a restart."""

    @property
    def resumes(self) -> Json:
        """``origin``, where it goes on at a task of another execution; None: it begins at its own start."""
        return self.origin if self.origin is not None and self.origin["task"] is not None else None


@dataclass(frozen=True, slots=True)
class ExecutionAdmitted:
    """A queued execution has its place: its first task begins."""

    at: float


@dataclass(frozen=True, slots=True)
class TurnTaken:
    """An execution that has much to do goes on after others had their turns."""

    at: float
    turn: str


@dataclass(frozen=True, slots=True)
class LimitReached:
    """It came to a limit that the operator set for each execution: it fails, and what it did is undone."""

    at: float
    limit: Limit
    most: int


@dataclass(frozen=True, slots=True)
class CallCompleted:
    """An answer came, whatever its status. Which statuses are errors is the machine's decision."""

    at: float
    call: str
    status: int
    content: Json
    headers: dict[str, str] = field(default_factory=dict)
    """Recorded only for ``output: response``."""


@dataclass(frozen=True, slots=True)
class CallFailed:
    """Certainly nothing was done: the request was never sent."""

    at: float
    call: str
    status: int
    title: str
    detail: str


@dataclass(frozen=True, slots=True)
class CallUnknown:
    """The request was sent and no answer came: it may or may not have been carried out."""

    at: float
    call: str
    status: int
    title: str
    detail: str


@dataclass(frozen=True, slots=True)
class TimerFired:
    at: float
    timer: str


@dataclass(frozen=True, slots=True)
class CompensationRegistered:
    """The undo of a completed task, with its arguments as they were at that moment; the log's word counts on replay."""

    at: float
    task: str
    arguments: Json


@dataclass(frozen=True, slots=True)
class AttributesSet:
    """What the execution is about, from now on."""

    at: float
    setting: str
    values: Json
    """Attribute → text, number or boolean; null: it has it no more."""


@dataclass(frozen=True, slots=True)
class EventEmitted:
    """The event is in the log, and will be delivered."""

    at: float
    emit: str
    event: Json
    """A CloudEvent."""


@dataclass(frozen=True, slots=True)
class EventReceived:
    """An event was delivered to a listener of this execution."""

    at: float
    listener: str
    event: Json


@dataclass(frozen=True, slots=True)
class ChildStarted:
    """The execution that a task asked for has begun."""

    at: float
    run: str
    execution: str


@dataclass(frozen=True, slots=True)
class ChildEnded:
    at: float
    run: str
    status: Literal["completed", "faulted", "cancelled"]
    output: Json = None
    error: Json = None
    undo: Outlook | None = None
    """What can be undone of one that completed. None: nothing, or it ended before that was told."""


@dataclass(frozen=True, slots=True)
class ChildUndone:
    """What a completed child did is undone, as far as it can be."""

    at: float
    run: str
    """The id of ``UndoChild``."""
    compensation: Json = None
    """Its report."""
    error: Json = None
    """Why it cannot be undone."""


@dataclass(frozen=True, slots=True)
class ProcessEnded:
    at: float
    run: str
    code: int
    """What it ended with; negative: the signal that ended it."""
    stdout: str
    stderr: str


@dataclass(frozen=True, slots=True)
class ProcessFailed:
    """It could not be run, or went over its bounds."""

    at: float
    run: str
    status: int
    title: str
    detail: str
    begun: bool
    """It may have done something."""


@dataclass(frozen=True, slots=True)
class CancelRequested:
    at: float
    reason: str
    by: str | None = None


@dataclass(frozen=True, slots=True)
class UndoRequested:
    """Of an execution that has completed: whoever ran it undoes what it did. It ends once more, as cancelled."""

    at: float
    reason: str
    run: str
    """The id of ``UndoChild``."""
    by: str
    """The execution that asks for it: the one that ran it, or one that took over what that did."""


@dataclass(frozen=True, slots=True)
class SuspendRequested:
    """No further task begins until ``ResumeRequested``; what is under way goes on, and its outcome is kept."""

    at: float
    reason: str
    by: str | None = None


@dataclass(frozen=True, slots=True)
class ResumeRequested:
    at: float
    reason: str
    by: str | None = None


@dataclass(frozen=True, slots=True)
class IncidentResolved:
    at: float
    incident: str
    action: Literal["retry", "skip", "done", "edit"]
    by: str
    reason: str
    arguments: Json = None
    """The corrected arguments, with ``edit``."""


@dataclass(frozen=True, slots=True)
class ExecutionMigrated:
    """From here on by another definition. By it, all that happened before happens just so: that was tried first."""

    at: float
    definition: str
    """Its hash."""
    version: str
    previous: str
    """The hash of the definition until then."""
    by: str
    reason: str


@dataclass(frozen=True, slots=True)
class ExecutionRestarted:
    """All before it was taken over from another execution. From here on it is this one's, with a task that begins."""

    at: float
    execution: str
    """The id from here on."""
    task: str
    edited: list[str]
    """``input``, ``context``, both or none: those are other than they were there."""
    input: Json = None
    """Of the task, before its ``input.from``."""
    context: Json = None
    undos: Literal["left", "taken"] = "left"
    """Whether what was done before is undone if this execution fails."""


@dataclass(frozen=True, slots=True)
class ExecutionCompleted:
    at: float
    output: Json
    undo: Outlook | None = None
    """Of one that another one runs: what of it can be undone."""


@dataclass(frozen=True, slots=True)
class ExecutionFaulted:
    at: float
    error: Json
    compensation: Json


@dataclass(frozen=True, slots=True)
class ExecutionCancelled:
    at: float
    reason: str
    compensation: Json


@dataclass(frozen=True, slots=True)
class IncidentOpened:
    at: float
    incident: str
    task: str
    error: Json
    arguments: Json


Event = (
    ExecutionStarted
    | ExecutionAdmitted
    | TurnTaken
    | LimitReached
    | CallCompleted
    | CallFailed
    | CallUnknown
    | TimerFired
    | CompensationRegistered
    | AttributesSet
    | EventEmitted
    | EventReceived
    | ChildStarted
    | ChildEnded
    | ChildUndone
    | ProcessEnded
    | ProcessFailed
    | CancelRequested
    | UndoRequested
    | SuspendRequested
    | ResumeRequested
    | IncidentResolved
    | ExecutionMigrated
    | ExecutionRestarted
    | ExecutionCompleted
    | ExecutionFaulted
    | ExecutionCancelled
    | IncidentOpened
)
