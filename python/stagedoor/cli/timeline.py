"""One execution as lines for people: what was called, what failed, what was undone, and when."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from rich.text import Text

Json = Any
STYLES = {
    "completed": "green",
    "failed": "red",
    "unknown": "red",
    "open": "yellow",
    "running": "cyan",
    "skipped": "dim",
    "cancelled": "dim",
    "faulted": "red",
    "suspended": "yellow",
}
MARKS = {"completed": "✓", "failed": "✗", "unknown": "?", "open": "!", "running": "…", "skipped": "-", "cancelled": "-"}
WIDEST = 200
"""Characters of a value that is shown on a line of its own."""


def lines(execution: Json) -> Iterator[Text]:
    """``execution`` is what ``GET /executions/{id}`` answers."""
    status = execution["status"]
    yield Text.assemble(
        (f"{execution['workflow']} {execution['version']} ", "bold"),
        (status, f"bold {STYLES.get(status, '')}".strip()),
    )
    yield Text(f"{execution['id']} · began {execution['created']}", style="dim")
    if execution["consumer"]:
        yield Text(f"consumer {execution['consumer']} · route {execution['route']}", style="dim")
    yield from _value("input", execution.get("input"))
    yield from _origin(execution.get("origin"))
    for each in execution.get("migrations", ()):
        told = f"migrated {each['at']} to version {each['version']} by {each['by']}: {each['reason']}"
        yield Text(told, style="dim")
    # What was taken over from another execution lies before.
    begin = min(datetime.fromisoformat(at) for at in (execution["created"], *_first(execution["timeline"])))
    for entry in execution["timeline"]:
        yield from step(entry, begin)
    yield from end(execution)


def _first(timeline: Json) -> list[str]:
    return [timeline[0]["at"]] if timeline else []


def _origin(origin: Json) -> Iterator[Text]:
    if origin is None:
        return
    place = "the start" if origin["task"] is None else f"{origin['task']}, behind event {origin['event']}"
    edited = f", {' and '.join(origin['edited'])} edited" if origin["edited"] else ""
    undos = ", with the undos of what was done before" if origin["undos"] == "taken" else ""
    told = f"restarted from {origin['execution']} at {place}{edited}{undos}, by {origin['by']}: {origin['reason']}"
    yield Text(told, style="dim")


def end(execution: Json) -> Iterator[Text]:
    """What it waits for, or what came of it."""
    for reason in execution["waiting"]:
        yield Text(f"waits: {reason['text']}", style="yellow")
        yield Text(f"       since {reason['since']}; {reason['wakes']} wakes it", style="dim")
    for incident in execution["incidents"]:
        if incident["resolved"] is None:
            yield Text(f"incident {incident['id']}: arguments {_short(incident['arguments'])}", style="yellow")
    if "output" in execution:
        yield from _value("output", execution["output"])
    if "error" in execution:
        yield from _error(execution["error"])


def step(entry: Json, begin: datetime) -> Iterator[Text]:
    """One run of one task; ``begin`` is when the execution began."""
    outcome = entry["outcome"]
    style = STYLES.get(outcome, "")
    offset = (datetime.fromisoformat(entry["at"]) - begin).total_seconds()
    took = ""
    if entry["until"] is not None:
        spent = (datetime.fromisoformat(entry["until"]) - datetime.fromisoformat(entry["at"])).total_seconds()
        took = f"{spent * 1000:.0f} ms"
    name = f"{entry['name']}{entry.get('path', '')}"
    if entry.get("undoes"):
        name = f"↩ {name} (undoes {entry['undoes']})"
    again = f" attempt {entry['attempt']}" if entry["attempt"] > 1 else ""
    yield Text.assemble(
        (f"{offset:+9.3f} s  ", "dim"),
        (f"{MARKS.get(outcome, '·')} ", style),
        (name, "bold"),
        f"  {entry['kind']}{again}  ",
        (outcome, style),
        (f"  {took}" if took else "", "dim"),
    )
    if entry.get("call"):
        yield Text(f"{'':15}{entry['call']}", style="dim")
    if entry.get("error"):
        error = entry["error"]
        detail = f": {error['detail']}" if error.get("detail") else ""
        yield Text(f"{'':15}{error.get('status', '')} {error.get('title', '')}{detail}", style="red")


def _error(error: Json) -> Iterator[Text]:
    detail = f": {error['detail']}" if error.get("detail") else ""
    yield Text(f"error: {error.get('status', '')} {error.get('title', '')}{detail}", style="red")
    compensation = error.get("compensation")
    if compensation:
        yield Text(f"compensation: {compensation['status']}")
        for entry in compensation["entries"]:
            yield Text(f"  {entry['status']:12} {entry['task']} by {entry['call']}, attempts: {entry['attempts']}")


def _value(name: str, value: Json) -> Iterator[Text]:
    if value is not None:
        yield Text(f"{name}: {_short(value)}", style="dim")


def _short(value: Json) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= WIDEST else f"{text[: WIDEST - 1]}…"
