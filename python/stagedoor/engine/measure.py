"""Counters of the orchestrator in Prometheus' text format; every label is bounded."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping


class Histogram:
    """Observed by one thread, read by another: a scrape may be one observation behind."""

    def __init__(self, bounds: tuple[float, ...]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._sum = 0.0

    def observe(self, value: float) -> None:
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value

    def render(self, name: str, help: str) -> str:
        lines, total = [f"# HELP {name} {help}", f"# TYPE {name} histogram"], 0
        for bound, count in zip([*map(str, self._bounds), "+Inf"], list(self._counts), strict=True):
            total += count
            lines.append(f'{name}_bucket{{le="{bound}"}} {total}')
        return "\n".join([*lines, f"{name}_sum {self._sum}", f"{name}_count {total}", ""])


def render(name: str, kind: str, help: str, values: Mapping[str, float] | float) -> str:
    """A counter or gauge; ``values`` by label set as it is written between braces, or one value without labels."""
    samples = values if isinstance(values, Mapping) else {"": values}
    lines = [f"{name}{{{labels}}} {value}" if labels else f"{name} {value}" for labels, value in samples.items()]
    return "\n".join([f"# HELP {name} {help}", f"# TYPE {name} {kind}", *lines, ""])
