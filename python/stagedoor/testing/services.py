"""The services of a case: what each task's call is answered with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from stagedoor._core import Expression, ExpressionError
from stagedoor.errors import StagedoorError
from stagedoor.testing.case import Answer, Case
from stagedoor.workflow.commands import Call
from stagedoor.workflow.expression import wrapped

Json = Any


class NoAnswer(StagedoorError):
    """A task calls a service and the case does not say what it answers."""


class Services:
    """They honour idempotency keys: the same call, sent again after a crash, gets the answer that it got before."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._given: dict[str, Answer] = {}
        self._used: dict[str, int] = {}

    def answer(self, call: Call) -> Answer:
        """Raises ``NoAnswer``."""
        what = f"{call.method} {call.endpoint}"
        return self.answer_to(call.id, call.task, what, request(call), undone=call.compensates)

    def answer_to(self, id: str, task: str, what: str, data: Json, *, undone: str | None = None) -> Answer:
        """``id`` names one asking, ``what`` it for people; ``data`` is what an answer's expressions see. Raises
        ``NoAnswer``."""
        known = self._given.get(id)
        if known is not None:
            return known
        name, scripted = self._find(task, what, undone)
        number = self._used.get(name, 0)
        self._used[name] = number + 1
        chosen = scripted[min(number, len(scripted) - 1)]
        answer = self._given[id] = Answer(
            chosen.kind, chosen.status, fill(chosen.content, data), chosen.headers, chosen.after
        )
        return answer

    def undoes(self, task: str) -> bool:
        """Whether the case says what comes of the undo of a task."""
        return task in self._case.compensations or task_name(task) in self._case.compensations

    def _find(self, task: str, what: str, undone: str | None) -> tuple[str, Sequence[Answer]]:
        table: Mapping[str, Sequence[Answer]] = self._case.answers if undone is None else self._case.compensations
        for name in (task, undone, task_name(task), None if undone is None else task_name(undone)):
            if name is not None and name in table:
                return f"{'undo ' if undone else ''}{name}", table[name]
        section, name = ("answers", task_name(task)) if undone is None else ("compensations", task_name(undone))
        raise NoAnswer(f"{what} has no answer: give one in '{section}' under '{name}'")


def request(call: Call) -> dict[str, Json]:
    """What an answer's expressions see of a call."""
    return {
        "method": call.method,
        "endpoint": call.endpoint,
        "query": call.query,
        "headers": call.headers,
        "body": call.body,
        "key": call.idempotency_key,
    }


def fill(value: Json, data: Json) -> Json:
    """Every string that is ``${ jq }`` as a whole becomes what it yields over ``data``. Raises ``NoAnswer``."""
    if isinstance(value, str) and (source := wrapped(value)) is not None:
        try:
            return Expression(source).evaluate(data)
        except ExpressionError as error:
            raise NoAnswer(f"the answer's expression {source.strip()!r} failed: {error}") from None
    if isinstance(value, dict):
        return {key: fill(item, data) for key, item in value.items()}
    if isinstance(value, list):
        return [fill(item, data) for item in value]
    return value


def task_name(reference: str) -> str:
    """The name at the end of a reference."""
    return reference.rpartition("/")[2].replace("~1", "/").replace("~0", "~")
