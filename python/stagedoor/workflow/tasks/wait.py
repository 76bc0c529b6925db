"""``wait``: pause, then go on with the same data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from stagedoor.workflow.commands import CancelTimer, Command, StartTimer
from stagedoor.workflow.definition import Task
from stagedoor.workflow.frame import Frame
from stagedoor.workflow.retry import Duration, evaluate
from stagedoor.workflow.waiting import ForTimer, Reason

if TYPE_CHECKING:
    from stagedoor.workflow.compiler import Common, Compiler, Within
    from stagedoor.workflow.place import Place


class WaitFrame(Frame):
    __slots__ = ("timer",)
    task: Wait

    def begin(self) -> None:
        wait = evaluate(self.task.duration, self, self.input)
        self.timer = self.machine.start_timer(self.identity, wait, self)

    def fired(self, event: Any) -> None:
        self.complete(self.input)

    def stop(self, *, drain: bool) -> None:
        self.machine.withdraw(CancelTimer(self.timer))

    def waits_for(self, command: Command, since: float) -> Reason:
        at = command.at if isinstance(command, StartTimer) else self.now
        return ForTimer(task=self.reference, since=since, until=at, purpose="wait")


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait(Task):
    kind: ClassVar[str] = "wait"
    frame: ClassVar[type[Frame]] = WaitFrame
    duration: Duration


def compile(place: Place, common: Common, compiler: Compiler, within: Within) -> Task:
    place.keys({"wait"})
    return Wait(**common, duration=compiler.duration(place.at("wait"), within.variables))
