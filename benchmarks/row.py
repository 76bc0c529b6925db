"""One measured row, and the table it stands in: medians over the rounds, comparisons within each round."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median


class NotRun(Exception):
    """A subject of a measurement did not do its work; the message is the reason that its row gives."""


@dataclass
class Row:
    name: str
    rounds: list[Mapping[str, float]] = field(default_factory=list)
    """One sample for each round: figures by their keys."""
    not_run: str | None = None
    """Why there is nothing to show. One failed round is enough: what fails is not compared."""

    def values(self, key: str) -> list[float]:
        return [sample[key] for sample in self.rounds]

    def middle(self, key: str) -> float:
        return median(self.values(key))

    def against(self, other: Row, key: str) -> float:
        """Round by round, because a noisy machine drifts: neighbours in time are compared, then the median is taken."""
        pairs = zip(self.values(key), other.values(key), strict=True)
        return median(mine / theirs for mine, theirs in pairs if theirs)


Cell = Callable[[Row, Sequence[Row]], str]


@dataclass(frozen=True)
class Column:
    title: str
    cell: Cell


def middle(title: str, key: str, form: str) -> Column:
    return Column(title, lambda row, _: format(row.middle(key), form))


def spread(key: str, form: str) -> Column:
    return Column(
        "lowest–highest",
        lambda row, _: f"{format(min(row.values(key)), form)}–{format(max(row.values(key)), form)}",
    )


def against(reference: str, key: str) -> Column:
    def cell(row: Row, rows: Sequence[Row]) -> str:
        other = next((other for other in rows if other.name == reference and other.not_run is None), None)
        return f"{row.against(other, key):.2f}×" if other else "–"

    return Column(f"against {reference}", cell)


def table(first: str, rows: Sequence[Row], columns: Sequence[Column]) -> str:
    lines = [f"| {first} | " + " | ".join(column.title for column in columns) + " |"]
    lines.append("|---" * (len(columns) + 1) + "|")
    for row in rows:
        if row.not_run is not None or not row.rounds:
            reason = (row.not_run or "no round was finished").replace("|", "¦")
            lines.append(f"| {row.name} | not run: {reason} |" + " |" * (len(columns) - 1))
        else:
            lines.append(f"| {row.name} | " + " | ".join(column.cell(row, rows) for column in columns) + " |")
    return "\n".join(lines)


def alternate(
    rows: Sequence[Row], rounds: int, trial: Callable[[Row], Mapping[str, float]], show: str, warm_up: bool = True
) -> None:
    """Every row in turn, round by round; a first round warms up and is not counted. ``show``: the figure to print."""
    for count in range(-1 if warm_up else 0, rounds):
        for row in rows:
            if row.not_run is not None:
                continue
            try:
                sample = trial(row)
            except NotRun as error:
                row.not_run = str(error) if count >= 0 else None
                print(f"{row.name:40} failed: {error}", flush=True)
                continue
            if count >= 0:
                row.rounds.append(sample)
            print(f"{row.name:40} {show} {sample[show]:10.2f}{'' if count >= 0 else '  (warm-up)'}", flush=True)
