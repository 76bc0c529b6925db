"""What a subject was to reach, and whether it did: lines under its table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks.row import Row

Figure = Callable[[Row, Sequence[Row]], float]


@dataclass(frozen=True)
class Target:
    """``most`` or ``least`` is the bound that the figure of the named row has to keep."""

    what: str
    figure: Figure
    unit: str = ""
    row: str = "stagedoor"
    most: float | None = None
    least: float | None = None

    def line(self, rows: Sequence[Row]) -> str:
        """Compared as measured, not as printed."""
        asked = f"≤ {self.most:,g}" if self.most is not None else f"≥ {self.least:,g}"
        named = next((row for row in rows if row.name == self.row), None)
        if named is None or named.not_run is not None or not named.rounds:
            return f"- {self.what} {asked}{self.unit}: not run"
        try:
            figure = self.figure(named, rows)
        except LookupError:
            return f"- {self.what} {asked}{self.unit}: nothing to compare with"
        kept = figure <= self.most if self.most is not None else figure >= (self.least or 0.0)
        return f"- {self.what} {asked}{self.unit}: {figure:,.2f}{self.unit}, **{'met' if kept else 'missed'}**"


def middle(key: str) -> Figure:
    return lambda row, _: row.middle(key)


def against(reference: str, key: str) -> Figure:
    """LookupError if there is no such row that has run."""

    def figure(row: Row, rows: Sequence[Row]) -> float:
        found = [other for other in rows if other.name == reference and other.not_run is None and other.rounds]
        return row.against(found[0], key)

    return figure


def judged(rows: Sequence[Row], *targets: Target) -> str:
    return "\n\n" + "\n".join(target.line(rows) for target in targets)
