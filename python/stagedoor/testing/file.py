"""A file of cases: the workflow that they are about, and the cases by name."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stagedoor.config import InvalidConfiguration
from stagedoor.config.include import Reader, shown
from stagedoor.config.node import Place, Source, find, plain
from stagedoor.config.workflows import located, read_workflow
from stagedoor.errors import Problem
from stagedoor.testing.case import Case, case
from stagedoor.workflow.definition import Definition
from stagedoor.workflow.place import Place as Spot

Json = Any
MAX_CASES = 10_000
"""Cases of one file."""


@dataclass(frozen=True, slots=True)
class CaseFile:
    path: Path
    definition: Definition
    cases: tuple[Case, ...]


def read_cases(path: str | os.PathLike[str]) -> CaseFile:
    """``{workflow: FILE, cases: {NAME: {...}}}``, the workflow's file relative to this one.

    Raises ``InvalidConfiguration`` with every problem of the file, or those of the workflow.
    """
    file = Path(path).resolve()
    reader = Reader({})
    node = reader.node(file, Place(Source(file, shown(file), ""), 1, 1))
    if node is None or reader.problems:
        raise InvalidConfiguration(reader.problems)
    problems: list[Problem] = []
    top = Spot(plain(node), (), problems)
    if not top.mapping(required=("workflow", "cases")):
        raise InvalidConfiguration(list(located(node, problems)))
    top.keys({"workflow", "cases"}, common=False)
    name = top.at("workflow").text()
    if name is None or not top.at("cases").mapping(minimum=1):
        raise InvalidConfiguration(list(located(node, problems)))
    place, _ = find(node, ("workflow",))
    definition, _ = read_workflow(file.parent / name, place, ("workflow",))
    tasks = sorted(set(task_names(definition.document)))
    said = top.at("cases")
    if len(said.value) > MAX_CASES:
        said.problem(f"more than {MAX_CASES:,} cases")
    cases = tuple(case(str(each), said.at(each), tasks) for each in said.value)
    if problems:
        raise InvalidConfiguration(list(located(node, problems)))
    return CaseFile(file, definition, cases)


def task_names(document: Json) -> Iterator[str]:
    """Every name that a list of a document gives: tasks, branches, and the like."""
    if isinstance(document, dict):
        for value in document.values():
            yield from task_names(value)
    elif isinstance(document, list):
        for item in document:
            if isinstance(item, dict) and len(item) == 1:
                yield from (name for name, value in item.items() if isinstance(value, dict))
            yield from task_names(item)
