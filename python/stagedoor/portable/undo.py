"""Undos as tasks: a loop over what is to be undone, with a task for each undo that there is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from stagedoor.portable import rethrow
from stagedoor.portable.expression import without_context, wrap
from stagedoor.portable.journal import Journal
from stagedoor.workflow.error import STANDARD

Json = Any
RETRY = {"delay": {"milliseconds": 500}, "backoff": {"exponential": {}}, "limit": {"attempt": {"count": 4}}}
"""Of an undo that names no policy."""
GIVEN_UP = {"type": f"{STANDARD}runtime", "status": 500, "title": "Not undone"}
"""Ends the undos that are left."""


@dataclass(frozen=True, slots=True)
class Undo:
    name: str
    """Of the entries in the list; no other task has it."""
    task: str
    """What the task to be undone is called."""
    call: str
    body: Json
    retry: Json
    on_failure: str
    sagas: tuple[str, ...]
    """Those that it may belong to when it is run, from the innermost one."""


class Undos:
    def __init__(self, journal: Journal, rethrow: str) -> None:
        self._journal, self._rethrow = journal, rethrow
        self.known: list[Undo] = []

    def of(self, saga: str) -> list[Undo]:
        return [undo for undo in self.known if saga in undo.sagas]

    def loop(self, saga: str, undos: list[Undo], *, named: bool = False, quietly: bool = True) -> Json:
        """``named``: those undos alone. ``quietly``: what is raised where an undo fails for good is not shown to
        anybody; else its own error is raised."""
        entries = self._journal.of(saga, [undo.name for undo in undos] if named else None)
        tasks = [{"forget": self._journal.forget()}, *({undo.name: _task(undo, quietly)} for undo in undos)]
        return {"for": {"each": "done", "in": wrap(entries)}, "do": tasks}

    def catch(self, saga: str) -> Json:
        """Undo it all, latest first, as far as that goes, and go on with the error."""
        undos = self.of(saga)
        tasks: Json = [{"undo": self.loop(saga, undos)}]
        if any(undo.on_failure != "continue" for undo in undos):
            tasks = [{"undoing": {"try": tasks, "catch": {"do": [{"stopped": {"set": "${ . }"}}]}}}]
        go_on = {"goOn": rethrow.call(self._rethrow, "$failure")}
        return {"as": "failure", "do": [*tasks, go_on] if undos else [go_on]}


def _task(undo: Undo, quietly: bool) -> Json:
    given = {"if": wrap(f'$done.of == "{undo.name}"'), "input": {"from": wrap("$done.with")}}
    catch: dict[str, Json] = {}
    if not _never(undo.retry):
        catch["retry"] = undo.retry
    if undo.on_failure == "continue":
        catch["do"] = [{"left": {"set": "${ . }"}}]
    elif quietly and catch:
        catch["do"] = [{"giveUp": {"raise": {"error": GIVEN_UP}}}]
    # Without either, a catch would be the end of its error.
    inner = [{undo.call: without_context(undo.body)}]
    return {**given, "try": inner, "catch": catch} if catch else {**given, "do": inner}


def _never(retry: Json) -> bool:
    if not isinstance(retry, dict):
        return False
    attempt = (retry.get("limit") or {}).get("attempt") or {}
    return bool(attempt.get("count") == 0 and "duration" not in attempt)
