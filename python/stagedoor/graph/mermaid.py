"""A graph as a Mermaid flow chart, which many wikis and repositories draw."""

from __future__ import annotations

from collections.abc import Iterator

from stagedoor.graph.caption import caption
from stagedoor.graph.edge import END, START, edges
from stagedoor.graph.model import Block, Graph, Step

_COLOURS = {
    "completed": "fill:#e3f6e8,stroke:#2e7d46",
    "failed": "fill:#fde5e4,stroke:#b3261e",
    "unknown": "fill:#fde5e4,stroke:#b3261e,stroke-dasharray:4",
    "running": "fill:#e1f1fd,stroke:#1567a8",
    "skipped": "fill:#f3f3f3,stroke:#9a9a9a,color:#777",
    "cancelled": "fill:#f3f3f3,stroke:#9a9a9a,color:#777",
}


def mermaid(graph: Graph) -> str:
    """The text of the chart, with a line end."""
    return "\n".join(_lines(graph)) + "\n"


def _lines(graph: Graph) -> Iterator[str]:
    ids = {step.reference: f"s{number}" for number, step in enumerate(graph.steps())}
    ids |= {START: "start", END: "finish"}
    yield "flowchart TD"
    yield "  start((start))"
    yield from _block(graph.root, ids, "  ")
    yield "  finish((end))"
    for edge in edges(graph):
        arrow = "-.->" if edge.style == "error" else "-->"
        text = f"|{_quoted(edge.label)}|" if edge.label else ""
        yield f"  {ids[edge.source]} {arrow}{text} {ids[edge.target]}"
    for step in graph.steps():
        if step.undo is not None:
            here = ids[step.reference]
            yield f"  {here} -.-o {here}u[{_quoted('↩ ' + step.undo)}]"
    used: dict[str, list[str]] = {}
    for step in graph.steps():
        if step.run is not None and step.run.outcome in _COLOURS:
            used.setdefault(step.run.outcome, []).append(ids[step.reference])
    for outcome, names in used.items():
        yield f"  classDef {outcome} {_COLOURS[outcome]}"
        yield f"  class {','.join(names)} {outcome}"


def _block(block: Block, ids: dict[str, str], indent: str) -> Iterator[str]:
    for step in block.steps:
        yield indent + ids[step.reference] + _shape(step)
        for index, inner in enumerate(step.blocks):
            title = inner.title or step.name
            yield f"{indent}subgraph {ids[step.reference]}b{index}[{_quoted(title)}]"
            yield from _block(inner, ids, indent + "  ")
            yield f"{indent}end"


def _shape(step: Step) -> str:
    text = _quoted("<br/>".join(_escaped(line) for line in caption(step)), escaped=True)
    if step.kind == "switch":
        return f"{{{text}}}"
    return f"([{text}])" if step.kind in ("wait", "listen") else f"[{text}]"


def _quoted(text: str, *, escaped: bool = False) -> str:
    return f'"{text if escaped else _escaped(text)}"'


def _escaped(text: str) -> str:
    """Entities of Mermaid's own: nothing of a document is taken for syntax or for HTML."""
    for character, name in (
        ("#", "#35;"),
        ("&", "#amp;"),
        ('"', "#quot;"),
        ("<", "#lt;"),
        (">", "#gt;"),
        ("`", "#96;"),
    ):
        text = text.replace(character, name)
    return " ".join(text.split())
