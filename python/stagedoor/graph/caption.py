"""The lines inside the box of a step."""

from __future__ import annotations

from stagedoor.graph.label import short
from stagedoor.graph.model import Run, Step


def caption(step: Step) -> list[str]:
    """Its name, what it does, and what became of it."""
    lines = [short(step.name)]
    lines.append(f"{step.kind} {step.label}".strip() if step.kind != "call" else step.label)
    if step.condition is not None:
        lines.append(f"if {short(step.condition)}")
    if step.run is not None:
        lines.append(ran(step.run))
        if step.run.error:
            lines.append(short(step.run.error))
    return lines


def ran(run: Run) -> str:
    times = f" ×{run.count}" if run.count > 1 else ""
    spent = "" if run.seconds is None else f" · {long(run.seconds)}"
    return f"{run.outcome}{times}{spent}"


def long(seconds: float) -> str:
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 120:
        return f"{seconds:.1f} s"
    if seconds < 7200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3600:.1f} h" if seconds < 172_800 else f"{seconds / 86400:.1f} days"
