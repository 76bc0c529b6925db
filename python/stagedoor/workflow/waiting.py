"""Why an execution waits: one value for each thing that it waits for, which says since when and what will wake it."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal

from stagedoor.workflow.duration import moment

Json = Any
Purpose = Literal["wait", "timeout", "retry", "repetition", "undo"]

_TIMES = frozenset({"since", "until"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """Times are seconds since the epoch."""

    kind: ClassVar[str] = ""
    task: str
    """The task's reference; empty: the workflow itself."""
    since: float

    def text(self) -> str:
        """One sentence for people, without the full stop."""
        raise NotImplementedError

    def wakes(self) -> str:
        """What will wake it, likewise."""
        raise NotImplementedError

    def show(self) -> dict[str, Json]:
        """As JSON: ``kind text wakes``, and the fields that say anything; times as RFC 3339."""
        shown: dict[str, Json] = {"kind": self.kind, "text": self.text(), "wakes": self.wakes()}
        for each in fields(self):
            value = getattr(self, each.name)
            if value is not False and value not in (None, (), ""):
                shown[each.name] = moment(value) if each.name in _TIMES else value
        return shown


@dataclass(frozen=True, slots=True, kw_only=True)
class ForCall(Reason):
    kind: ClassVar[str] = "call"
    id: str
    """The command's."""
    call: str
    """``METHOD endpoint``."""
    attempt: int
    """How often it was sent."""
    undoes: str | None = None
    """The reference of the task that it undoes."""
    cluster: str | None = None
    """To which it was sent; known to the engine."""

    def text(self) -> str:
        again = f" (sent {self.attempt} times)" if self.attempt > 1 else ""
        return f"{self.task} waits for the answer to {self.call}{again}"

    def wakes(self) -> str:
        return "the answer, or that none came in time"


@dataclass(frozen=True, slots=True, kw_only=True)
class ForTimer(Reason):
    kind: ClassVar[str] = "timer"
    until: float
    purpose: Purpose
    number: int = 0
    """Of the retry."""
    call: str | None = None
    """What is repeated."""

    def text(self) -> str:
        at = moment(self.until)
        match self.purpose:
            case "wait":
                return f"{self.task} waits until {at}"
            case "timeout":
                return f"{self.task or 'the workflow'} may take until {at}"
            case "retry":
                return f"{self.task} failed and is tried again (retry {self.number}) at {at}"
            case "repetition":
                return f"{self.task}: the outcome of {self.call} is unknown; it is repeated at {at}"
        return f"the undo of {self.task} failed and is tried again at {at}"

    def wakes(self) -> str:
        return f"the time {moment(self.until)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ForEvent(Reason):
    kind: ClassVar[str] = "event"
    types: tuple[str, ...]
    """Those that can match; empty: any."""
    mode: str
    """``one``, ``all`` or ``any`` of the filters."""
    filters: tuple[Json, ...]
    """Those that are not filled yet, as the document has them, with what correlation expects now."""
    consumed: int

    def text(self) -> str:
        so_far = f"; {self.consumed} so far" if self.consumed else ""
        return f"{self.task} listens for {', '.join(self.types) or 'an event'}{so_far}"

    def wakes(self) -> str:
        kinds = " or ".join(self.types) or "any type"
        return f"an event of {kinds}" + (" that fits the filters" if self.filters else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class ForExecution(Reason):
    kind: ClassVar[str] = "execution"
    workflow: str
    execution: str
    stopping: bool = False
    """It was told to end."""
    undoing: bool = False
    """It has completed, and what it did is being undone."""
    status: str | None = None
    """How it is getting on; known to the engine."""

    def text(self) -> str:
        if self.undoing:
            return f"what {self.workflow} did for {self.task} is being undone (execution {self.execution})"
        end = " to stop" if self.stopping else ""
        return f"{self.task} waits for {self.workflow} (execution {self.execution}){end}"

    def wakes(self) -> str:
        return f"the end of the execution {self.execution}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ForProcess(Reason):
    kind: ClassVar[str] = "process"
    id: str
    """The command's."""
    language: str

    def text(self) -> str:
        return f"{self.task} waits for its process ({self.language})"

    def wakes(self) -> str:
        return "the end of the process"


@dataclass(frozen=True, slots=True, kw_only=True)
class ForOperator(Reason):
    """An incident that is open, or a suspension."""

    kind: ClassVar[str] = "operator"
    incident: str | None = None
    """None: an operator suspended it."""
    by: str | None = None
    reason: str
    """The operator's words, or what failed."""

    def text(self) -> str:
        if self.incident is None:
            return f"{self.by or 'an operator'} suspended it: {self.reason}"
        return f"an operator must decide: the undo of {self.task} failed: {self.reason}"

    def wakes(self) -> str:
        if self.incident is None:
            return "an operator's resume or cancel"
        return "an operator's retry, edit, skip or done"


@dataclass(frozen=True, slots=True, kw_only=True)
class ForTurn(Reason):
    """It has much to do without waiting for anything; others have their turns in between."""

    kind: ClassVar[str] = "turn"
    tasks: int
    """Begun since it last waited for anything else."""

    def text(self) -> str:
        return f"{self.task or 'the workflow'} goes on in its next turn; {self.tasks} tasks began since it last waited"

    def wakes(self) -> str:
        return "its next turn"


@dataclass(frozen=True, slots=True, kw_only=True)
class ForPlace(Reason):
    """As many executions of its workflow are under way as may be."""

    kind: ClassVar[str] = "limit"

    def text(self) -> str:
        return "it waits until fewer executions of its workflow are under way"

    def wakes(self) -> str:
        return "the end of another execution of its workflow"
