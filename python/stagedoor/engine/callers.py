"""Callouts that wait for the end of an execution, and the answers they get."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from stagedoor import _core
from stagedoor.engine.execution import Execution, Final, error_of, status_of
from stagedoor.workflow.events import ExecutionCompleted

RETRY_AFTER_S = 1
"""Told to clients that are refused for a reason that passes."""


class Callers:
    """``answers`` gathers what one turn of the loop has to say; ``flush_soon`` sees to it that it is said."""

    def __init__(self, loop: asyncio.AbstractEventLoop, flush_soon: Callable[[], None]) -> None:
        self.answers: list[_core.Answer] = []
        self.refused = 0
        self._loop, self._flush_soon = loop, flush_soon
        self._executions: dict[int, Execution] = {}

    def wait(self, execution: Execution, callout: int, wait_ms: int) -> None:
        """For the end, at most ``wait_ms``; 0 is until the execution is in the log."""
        if execution.broken is not None:
            self.refuse(callout, "internal", "The execution cannot go on.")
            return
        if execution.final is not None:
            self.answers.append(ended(callout, execution.id, execution.final))
            return
        if not execution.started:
            # Not before the commit: a 202 is a promise.
            execution.waiting[callout] = self._loop.time() + wait_ms / 1000 if wait_ms > 0 else 0.0
        elif wait_ms > 0:
            execution.waiting[callout] = self._loop.call_later(wait_ms / 1000, self._out_of_patience, callout)
        else:
            self.answers.append((callout, "running", execution.id, running(execution)))
            return
        self._executions[callout] = execution

    def started(self, execution: Execution, *, ends: bool) -> None:
        """The execution is in the log: those who would not wait longer are told. Where it ends in the same breath, all
        others are about to be."""
        now = self._loop.time()
        for callout, patience in list(execution.waiting.items()):
            if not isinstance(patience, float):
                continue
            if patience == 0.0 or (patience <= now and not ends):
                self._out_of_patience(callout)
            elif not ends:
                execution.waiting[callout] = self._loop.call_at(patience, self._out_of_patience, callout)

    def leave(self, notice: _core.Abandoned) -> None:
        """The client went away."""
        callout = notice.callout
        execution = self._executions.pop(callout, None)
        if execution is not None:
            patience = execution.waiting.pop(callout)
            if isinstance(patience, asyncio.TimerHandle):
                patience.cancel()

    def release(self, execution: Execution, answer: Callable[[int], _core.Answer]) -> None:
        """Answer everybody who waits for this execution."""
        for callout, patience in execution.waiting.items():
            if isinstance(patience, asyncio.TimerHandle):
                patience.cancel()
            del self._executions[callout]
            self.answers.append(answer(callout))
        execution.waiting.clear()

    def refuse(self, callout: int, code: str, detail: str, retry_after_s: int | None = None) -> None:
        self.refused += 1
        self.answers.append((callout, "refused", code, detail, retry_after_s))

    def _out_of_patience(self, callout: int) -> None:
        execution = self._executions[callout]
        del self._executions[callout], execution.waiting[callout]
        self.answers.append((callout, "running", execution.id, running(execution)))
        self._flush_soon()


def running(execution: Execution) -> _core.Json:
    """The status resource of an execution in memory."""
    return status_of(execution.row, execution.updated, execution.status, execution.final)


def ended(callout: int, execution: str, final: Final) -> _core.Answer:
    if isinstance(final, ExecutionCompleted):
        return (callout, "completed", execution, final.output)
    return (callout, "faulted", execution, error_of(final))
