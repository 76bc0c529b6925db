"""Where everything of a picture stands: lists downwards, what runs side by side beside each other, insides in frames.

Lengths are in pixels at the picture's natural size.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from stagedoor.graph.caption import caption
from stagedoor.graph.model import Block, Graph, Step

WIDTH = 300
"""Of a step's box."""
LINE = 16
PAD = 14
GAP = 34
"""Between two steps of a list, for the arrow."""
ASIDE = 26
"""Between what runs side by side."""
TITLE = 22


@dataclass(slots=True)
class Box:
    """A step: its lines, and if something is inside of it the frame around all that."""

    step: Step
    lines: list[str]
    x: float = 0.0
    y: float = 0.0
    width: float = WIDTH
    height: float = 0.0
    head: float = 0.0
    """Height of the part with the lines; the whole box for a step without an inside."""
    insides: list[Inside] = field(default_factory=list)

    @property
    def middle(self) -> float:
        return self.x + self.width / 2


@dataclass(slots=True)
class Inside:
    """A list inside of a step."""

    title: str
    boxes: list[Box]
    x: float = 0.0
    y: float = 0.0
    width: float = 0.0
    height: float = 0.0


@dataclass(slots=True)
class Layout:
    root: Inside
    width: float
    height: float

    def boxes(self) -> Iterator[Box]:
        yield from _boxes(self.root)


def layout(graph: Graph, top: float, margin: float) -> Layout:
    root = _measure_list(graph.root)
    _place_list(root, margin, top)
    return Layout(root, root.width + 2 * margin, top + root.height + margin)


def _boxes(inside: Inside) -> Iterator[Box]:
    for box in inside.boxes:
        yield box
        for inner in box.insides:
            yield from _boxes(inner)


def _measure_list(block: Block) -> Inside:
    inside = Inside(block.title, [_measure(step) for step in block.steps])
    inside.width = max((box.width for box in inside.boxes), default=WIDTH)
    inside.height = sum(box.height for box in inside.boxes) + GAP * max(len(inside.boxes) - 1, 0)
    if block.title:
        inside.height += TITLE
    return inside


def _measure(step: Step) -> Box:
    lines = caption(step)
    if step.undo is not None:
        lines.append(f"↩ {step.undo}")
    box = Box(step, lines)
    box.head = box.height = LINE * len(lines) + PAD
    box.insides = [_measure_list(block) for block in step.blocks]
    if box.insides:
        within = sum(inside.width for inside in box.insides) + ASIDE * (len(box.insides) - 1)
        box.width = max(WIDTH, within) + 2 * PAD
        box.height = box.head + GAP + max(inside.height for inside in box.insides) + PAD
    return box


def _place_list(inside: Inside, x: float, y: float) -> None:
    inside.x, inside.y = x, y
    if inside.title:
        y += TITLE
    for box in inside.boxes:
        box.x, box.y = x + (inside.width - box.width) / 2, y
        within = sum(each.width for each in box.insides) + ASIDE * max(len(box.insides) - 1, 0)
        left = box.x + (box.width - within) / 2
        for each in box.insides:
            _place_list(each, left, y + box.head + GAP)
            left += each.width + ASIDE
        y += box.height + GAP
