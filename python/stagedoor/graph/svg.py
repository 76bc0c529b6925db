"""A graph as an SVG picture of its own: no script, no font or style from elsewhere, light and dark."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from stagedoor.graph.edge import END, START, Edge, edges
from stagedoor.graph.label import short
from stagedoor.graph.layout import GAP, LINE, PAD, WIDTH, Box, Inside, Layout, layout
from stagedoor.graph.model import Graph

MARGIN = 70
SIDE_BY_SIDE = 8
"""Arrows along the side that do not lie on each other."""
Point = tuple[float, float]
Area = tuple[float, float, float, float]
"""Left, top, width and height."""
TOP = 100
"""Above the first step: the title and the start."""
_STYLE = """
  svg{background:#fff;font:13px system-ui,sans-serif} text{fill:#1d2430} .dim{fill:#5c6675}
  .box{fill:#f6f8fb;stroke:#8b97a8} .frame{fill:none;stroke:#c3ccd8} .edge{fill:none;stroke:#5c6675}
  .error{stroke:#b3261e;stroke-dasharray:5 4} .word{font-size:11px;paint-order:stroke;stroke:#fff;stroke-width:4px}
  .completed{fill:#e3f6e8;stroke:#2e7d46} .failed,.unknown{fill:#fde5e4;stroke:#b3261e}
  .running,.open{fill:#e1f1fd;stroke:#1567a8} .skipped,.cancelled{fill:#efefef;stroke:#9a9a9a}
  @media (prefers-color-scheme:dark){
    svg{background:#14181f} text{fill:#e6eaf0} .dim{fill:#9aa5b4} .box{fill:#1f2630;stroke:#5c6a7c}
    .frame{stroke:#3a4452} .edge{stroke:#9aa5b4} .error{stroke:#ff8a80} .word{stroke:#14181f}
    .completed{fill:#17351f} .failed,.unknown{fill:#461c1a} .running,.open{fill:#12314a} 
    .skipped,.cancelled{fill:#2a2a2a}
  }"""


def svg(graph: Graph) -> str:
    """The file's text."""
    return "\n".join(_lines(graph)) + "\n"


def _lines(graph: Graph) -> Iterator[str]:
    arrows = edges(graph)
    plan = layout(graph, TOP, MARGIN)
    height = plan.height + GAP
    yield (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {plan.width:.0f} {height:.0f}" '
        f'width="{plan.width:.0f}" height="{height:.0f}" role="img">'
    )
    title = graph.title + (f" · {graph.status}" if graph.status else "")
    yield f"<title>{escape(title)}</title><style>{_STYLE}\n</style>"
    yield (
        '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto-start-reverse"><path d="M0 0L8 4L0 8z" fill="#5c6675"/></marker></defs>'
    )
    yield f'<text x="{MARGIN}" y="32" font-size="17" font-weight="600">{escape(title)}</text>'
    yield from _frames(plan.root)
    middle = plan.root.x + plan.root.width / 2
    begin, end = (middle, TOP - GAP), (middle, height - PAD)
    ends = any(arrow.target == END for arrow in arrows)
    for x, y in (begin, end) if ends else (begin,):
        yield f'<circle cx="{x:.0f}" cy="{y:.0f}" r="6" class="box"/>'
    yield from _arrows(plan, arrows, begin, end)
    for box in plan.boxes():
        yield from _box(box)
    yield "</svg>"


def _frames(inside: Inside) -> Iterator[str]:
    for box in inside.boxes:
        if box.insides:
            yield _rectangle("frame", box.x, box.y, box.width, box.height)
        for each in box.insides:
            if each.title:
                yield f'<text x="{each.x:.0f}" y="{each.y + 12:.0f}" class="dim">{escape(each.title)}</text>'
            yield from _frames(each)


def _box(box: Box) -> Iterator[str]:
    outcome = box.step.run.outcome if box.step.run is not None else ""
    yield f"<g><title>{escape(box.step.reference)}</title>"
    yield _rectangle(f"box {escape(outcome)}".strip(), *_head(box))
    for number, line in enumerate(box.lines):
        style = 'font-weight="600"' if number == 0 else 'class="dim"'
        y = box.y + LINE * (number + 1) + 3
        yield f'<text x="{box.middle:.0f}" y="{y:.0f}" text-anchor="middle" {style}>{escape(line)}</text>'
    yield "</g>"


def _rectangle(style: str, x: float, y: float, width: float, height: float) -> str:
    return f'<rect class="{style}" x="{x:.0f}" y="{y:.0f}" width="{width:.0f}" height="{height:.0f}" rx="6"/>'


def _head(box: Box) -> Area:
    """Of the part with the lines."""
    return box.middle - WIDTH / 2, box.y, WIDTH, box.head


def _arrows(plan: Layout, arrows: list[Edge], begin: Point, end: Point) -> Iterator[str]:
    heads = {box.step.reference: _head(box) for box in plan.boxes()}
    heads[START] = (begin[0] - 6, begin[1] - 6, 12, 12)
    heads[END] = (end[0] - 6, end[1] - 6, 12, 12)
    frames = [(box.x, box.y, box.width, box.height) for box in plan.boxes()]
    around = 0
    for edge in arrows:
        source, target = heads[edge.source], heads[edge.target]
        others = [head for name, head in heads.items() if name not in (edge.source, edge.target)]
        if _open(source, target, others):
            path, word = _straight(source, target)
        else:
            around += 1
            path, word = _around(source, target, frames, around)
        yield f'<path class="edge{" error" if edge.style == "error" else ""}" d="{path}" marker-end="url(#tip)"/>'
        if edge.label:
            text = escape(short(edge.label, 28))
            yield f'<text x="{word[0]:.0f}" y="{word[1]:.0f}" class="dim word">{text}</text>'


def _open(source: Area, target: Area, others: list[Area]) -> bool:
    """Whether the target lies below with nothing in between."""
    x, y = source[0] + source[2] / 2, source[1] + source[3]
    to, at = target[0] + target[2] / 2, target[1]
    left, right = min(x, to) - 1, max(x, to) + 1
    return at >= y and not any(
        y <= head[1] + head[3] / 2 <= at and head[0] < right and head[0] + head[2] > left for head in others
    )


def _straight(source: Area, target: Area) -> tuple[str, Point]:
    x, y = source[0] + source[2] / 2, source[1] + source[3]
    to, at = target[0] + target[2] / 2, target[1]
    bend = (at - y) / 2
    path = f"M{x:.0f} {y:.0f}C{x:.0f} {y + bend:.0f} {to:.0f} {at - bend:.0f} {to:.0f} {at:.0f}"
    return path, ((x + to) / 2 + 6, (y + at) / 2 + 4)


def _around(source: Area, target: Area, frames: list[Area], number: int) -> tuple[str, Point]:
    """Along the right side of everything between the two, each further out than the one before."""
    x, y = source[0] + source[2], source[1] + source[3] / 2
    to, at = target[0] + target[2], target[1] + target[3] / 2
    low, high = min(y, at), max(y, at)
    beside = [area[0] + area[2] for area in frames if area[1] <= high and area[1] + area[3] >= low]
    out = max([x, to, *beside]) + 6 + 7 * (number % SIDE_BY_SIDE)
    turn = 6 if at > y else -6
    path = (
        f"M{x:.0f} {y:.0f}H{out - 6:.0f}Q{out:.0f} {y:.0f} {out:.0f} {y + turn:.0f}"
        f"V{at - turn:.0f}Q{out:.0f} {at:.0f} {out - 6:.0f} {at:.0f}H{to:.0f}"
    )
    return path, (x + 6, y - 4)
