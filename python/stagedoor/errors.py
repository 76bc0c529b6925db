"""Errors that people see: each says what, where, and what to do."""

from __future__ import annotations

from dataclasses import dataclass


class StagedoorError(Exception):
    """The base of every error that this package raises on purpose."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a document that a user wrote."""

    path: tuple[str | int, ...]
    """Where in the document, as keys and indexes from its root."""
    message: str
    """What is wrong and what was expected, as a sentence without a full stop."""
    hint: str | None = None
    """What to do, for example ``did you mean 'rate_limit'?``."""
    severity: str = "error"
    """``error`` or ``warning``."""


class InvalidDefinition(StagedoorError):
    """A workflow document that cannot be run; carries every problem, not only the first."""

    def __init__(self, problems: list[Problem]) -> None:
        super().__init__("; ".join(problem.message for problem in problems))
        self.problems = problems


class Unavailable(StagedoorError):
    """Something that cannot be had at present, through no fault of whoever asks for it: try again later."""


class Conflict(StagedoorError):
    """What an operator asks for does not go with how things stand; says why."""
