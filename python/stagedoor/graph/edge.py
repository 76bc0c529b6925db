"""The arrows of a picture: which step leads to which."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from stagedoor.graph.label import short
from stagedoor.graph.model import Block, Graph, Step

START, END = "start", "end"
Style = Literal["flow", "error"]
Open = list[tuple[str, str]]
"""Steps whose way goes on, each with what to write on the arrow."""


@dataclass(frozen=True, slots=True)
class Edge:
    source: str
    """A reference, or ``start``."""
    target: str
    """A reference, or ``end``."""
    label: str = ""
    style: Style = "flow"


def edges(graph: Graph) -> list[Edge]:
    """In the order of the document."""
    found: list[Edge] = []
    left = _block(graph.root, [(START, "")], found)
    found += [Edge(source, END, text) for source, text in left]
    return list(dict.fromkeys(found))


def _block(block: Block, open: Open, found: list[Edge], style: Style = "flow") -> Open:
    """Connects a list; what goes on behind it."""
    names = {step.name: step.reference for step in block.steps}
    left: Open = []
    for index, step in enumerate(block.steps):
        for source, text in open:
            found.append(Edge(source, step.reference, text, style if index == 0 else "flow"))
        going = _step(step, found)
        following: Open = []
        if step.condition is not None:
            following.append((step.reference, "if not"))
        for text, then in _ways(step):
            ends = [(step.reference, text)] if step.kind == "switch" else going
            _lead(then, ends, names, following, left, found)
        open = following
    return left + open


def _ways(step: Step) -> Iterator[tuple[str, str]]:
    if step.kind != "switch":
        yield "", step.then
        return
    for case in step.cases:
        yield short(case.asked or case.name, 24), case.then
    if all(case.asked is not None for case in step.cases):
        yield "otherwise", step.then


def _lead(then: str, ends: Open, names: dict[str, str], following: Open, left: Open, found: list[Edge]) -> None:
    if then == "continue":
        following += ends
    elif then == "exit":
        left += ends
    else:
        target = END if then == "end" else names.get(then, END)
        found += [Edge(source, target, text) for source, text in ends]


def _step(step: Step, found: list[Edge]) -> Open:
    """Connects what is inside; the ways out."""
    own: Open = [(step.reference, "")]
    if step.kind == "raise":
        return []
    if not step.blocks:
        return own
    if step.loops:
        inner = _block(step.blocks[0], [(step.reference, step.blocks[0].title)], found)
        found += [Edge(source, step.reference, "next") for source, _ in inner]
        return own
    ways: Open = []
    for block in step.blocks:
        text = "on error" if block.error else ""
        ways += _block(block, [(step.reference, text)], found, "error" if block.error else "flow")
    return ways
