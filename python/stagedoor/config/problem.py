"""Problems with their places, and how people and programs see them."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from stagedoor.config.node import Place
from stagedoor.errors import StagedoorError

if TYPE_CHECKING:
    from stagedoor.config.configuration import Configuration

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Located:
    """One thing wrong, and where. Holds no value that came from the environment or another file, and no key."""

    place: Place
    path: Path
    message: str
    hint: str | None = None
    severity: str = "error"
    tolerable: bool = False
    """An error that the gateway may be able to serve with: a file that it can do without, or knows from before."""

    def __str__(self) -> str:
        """``file:line:column: path: message; hint``."""
        where = f"{self.place.source.name}:{self.place.line}:{self.place.column}: "
        warning = "warning: " if self.severity == "warning" else ""
        path = f"{dotted(self.path)}: " if self.path else ""
        return where + warning + path + self.message + (f"; {self.hint}" if self.hint else "")

    def as_json(self) -> dict[str, Any]:
        return {
            "file": self.place.source.name,
            "line": self.place.line,
            "column": self.place.column,
            "path": list(self.path),
            "severity": self.severity,
            "message": self.message,
            "hint": self.hint,
        }


@dataclass(frozen=True, slots=True)
class Report:
    """Everything found: problems by position. ``configuration`` is None where one of them is an error."""

    problems: list[Located]
    configuration: Configuration | None = field(default=None, repr=False)

    @property
    def errors(self) -> list[Located]:
        return [problem for problem in self.problems if problem.severity == "error"]

    @property
    def warnings(self) -> list[Located]:
        return [problem for problem in self.problems if problem.severity != "error"]


class InvalidConfiguration(StagedoorError):
    """A configuration that cannot be used; carries every problem, not only the first."""

    def __init__(self, problems: list[Located]) -> None:
        super().__init__("\n".join(str(problem) for problem in problems))
        self.problems = problems


def dotted(path: Path) -> str:
    """``routes.items.policies.rate_limit[0].per``."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def ordered(problems: Iterable[Located]) -> list[Located]:
    """By file and position, each once."""
    unique = dict.fromkeys(problems)
    return sorted(unique, key=lambda each: (each.place.source.name, each.place.line, each.place.column))


def did_you_mean(word: str, known: Iterable[str]) -> str | None:
    """A hint where one of the known words is near."""
    folded = {each.lower(): each for each in known}
    near = difflib.get_close_matches(word.lower(), folded, n=1, cutoff=0.6)
    return f"did you mean '{folded[near[0]]}'?" if near else None


def listed(words: Iterable[str], limit: int = 12) -> str:
    """``a, b, c``, shortened where there are many."""
    names = list(words)
    more = f" and {len(names) - limit} more" if len(names) > limit else ""
    return (", ".join(names[:limit]) + more) if names else "none"
