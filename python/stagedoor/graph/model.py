"""A workflow document as what a picture shows: steps with a line of text each, and the lists inside of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from stagedoor.graph.label import KINDS, label
from stagedoor.workflow.place import token

Json = Any


@dataclass(slots=True)
class Run:
    """What one execution did with a step."""

    outcome: str
    count: int = 1
    seconds: float | None = None
    """Of all its runs that have ended."""
    error: str | None = None


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    asked: str | None
    """None: it holds always."""
    then: str


@dataclass(slots=True)
class Block:
    """A list of steps. ``title`` is empty for the only list of its step."""

    title: str
    steps: list[Step]
    error: bool = False
    """It runs only when something failed."""


@dataclass(slots=True)
class Step:
    reference: str
    name: str
    kind: str
    label: str
    condition: str | None = None
    then: str = "continue"
    cases: list[Case] = field(default_factory=list)
    """Of a ``switch``."""
    blocks: list[Block] = field(default_factory=list)
    side_by_side: bool = False
    loops: bool = False
    undo: str | None = None
    """What undoes it."""
    run: Run | None = None


@dataclass(slots=True)
class Graph:
    title: str
    root: Block
    status: str | None = None
    """Of the execution, if one is shown."""

    def steps(self) -> Iterator[Step]:
        yield from _walk(self.root)


def build(document: Json, timeline: Sequence[Mapping[str, Json]] = (), status: str | None = None) -> Graph:
    """Of a document that ``parse`` accepts. ``timeline`` is what an execution did: as ``Machine.timeline`` shows it,
    times in seconds."""
    head = document["document"]
    graph = Graph(f"{head['namespace']}/{head['name']} {head['version']}", _block("", document["do"], "/do"), status)
    steps = {step.reference: step for step in graph.steps()}
    for entry in timeline:
        step = steps.get(entry["task"])
        if step is not None and not entry.get("undoes"):
            step.run = _run(step.run, entry)
    return graph


def _run(before: Run | None, entry: Mapping[str, Json]) -> Run:
    spent = None if entry["until"] is None else entry["until"] - entry["at"]
    error = entry.get("error")
    text = None if error is None else f"{error.get('status', '')} {error.get('title', '')}".strip()
    if before is None:
        return Run(entry["outcome"], 1, spent, text)
    total = spent if before.seconds is None else before.seconds + (spent or 0.0)
    return Run(entry["outcome"], before.count + 1, total, text)


def _walk(block: Block) -> Iterator[Step]:
    for step in block.steps:
        yield step
        for inner in step.blocks:
            yield from _walk(inner)


def _block(title: str, tasks: Json, reference: str, *, error: bool = False) -> Block:
    steps = []
    for index, item in enumerate(tasks):
        name, task = next(iter(item.items()))
        steps.append(_step(name, task, f"{reference}/{index}/{token(name)}"))
    return Block(title, steps, error)


def _step(name: str, task: Json, reference: str) -> Step:
    kind = next((kind for kind in KINDS if kind in task), "task")
    compensation = (task.get("metadata") or {}).get("stagedoor/compensate")
    step = Step(
        reference,
        name,
        kind,
        label(kind, task),
        condition=task.get("if"),
        then=task.get("then", "continue"),
        undo=None if compensation is None else compensation.get("use") or label_of_inline(compensation),
    )
    if kind == "do":
        step.blocks.append(_block("", task["do"], f"{reference}/do"))
    elif kind == "for":
        step.loops = True
        step.blocks.append(_block("each", task["do"], f"{reference}/do"))
    elif kind == "fork":
        step.side_by_side = True
        branches = task["fork"]["branches"]
        for index, branch in enumerate(branches):
            name, inner = next(iter(branch.items()))
            one = _step(name, inner, f"{reference}/fork/branches/{index}/{token(name)}")
            step.blocks.append(Block("", [one]))
    elif kind == "try":
        step.blocks.append(_block("try", task["try"], f"{reference}/try"))
        caught = task["catch"].get("do")
        if caught:
            step.blocks.append(_block("catch", caught, f"{reference}/catch/do", error=True))
    elif kind == "listen" and (task.get("foreach") or {}).get("do"):
        step.loops = True
        step.blocks.append(_block("each event", task["foreach"]["do"], f"{reference}/foreach/do"))
    elif kind == "switch":
        for item in task["switch"]:
            case, said = next(iter(item.items()))
            step.cases.append(Case(case, said.get("when"), said.get("then", "continue")))
    return step


def label_of_inline(task: Json) -> str:
    """What a task written out in place does."""
    kind = next((kind for kind in KINDS if kind in task), "task")
    return label(kind, task) or kind
