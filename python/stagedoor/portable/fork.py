"""Branches: each of them keeps its error, so that all come to an end and tell what is to be undone."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from stagedoor.errors import Problem
from stagedoor.portable import rethrow
from stagedoor.portable.expression import wrap
from stagedoor.portable.losses import Path

if TYPE_CHECKING:
    from stagedoor.portable.lower import Lowering, Within

Json = Any


def lower(lowering: Lowering, name: str, task: Json, path: Path, within: Within) -> Json:
    config = task.pop("fork")
    if config.get("compete"):
        message = f"the branches of '{name}' compete and are undone: in the plain form nobody hears what a loser did"
        lowering.problems.append(Problem((*path, "fork"), message, "let the branches compete in what they read alone"))
        return task
    lowering.losses.add("fork", path, name)
    journal = lowering.journal
    branches, sagas = [], []
    for index, item in enumerate(config["branches"]):
        label, branch = next(iter(item.items()))
        saga = lowering.saga(f"{name}.{label}")
        sagas.append(saga)
        inner = replace(within, sagas=(saga, *within.sagas), beside=True)
        lowered = lowering.task(label, branch, (*path, "fork", "branches", index, label), inner)
        undos = f"[{journal.entries} | .[] | select(.in == {json.dumps(saga)})]"
        branches.append(
            {
                label: {
                    "try": [{"tasks": {"do": [{label: lowered}]}}, {"done": {"set": {"output": "${ . }"}}}],
                    "catch": {"as": "failure", "do": [{"failed": {"set": {"failure": "${ $failure }"}}}]},
                    "output": {"as": wrap(f". + {{undos: {undos}}}")},
                }
            }
        )
    joined: Json = {"set": "${ . }"}
    mine = json.dumps(sagas)
    kept = f"$kept | map(select(.in as $in | {mine} | any(. == $in) | not))"
    journal.change(joined, f"({kept}) + [.[].undos[] | .in = {json.dumps(within.saga)}]")
    failures = 'map(select(has("failure")))'
    task["do"] = [
        {"fork": {"fork": {"branches": branches}}},
        {"joined": joined},
        {
            "failed": {
                "if": wrap(f"{failures} | length > 0"),
                **rethrow.call(lowering.rethrow, f"{failures}[0].failure"),
            }
        },
        {"outputs": {"set": "${ map(.output) }"}},
    ]
    if "export" in task:
        journal.keep(task)
    return task
