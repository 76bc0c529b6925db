"""What is to be undone, as a list in ``$context``: each entry is ``{of, in, with}``, the undo, the saga it belongs to
and its arguments, in the order in which tasks completed."""

from __future__ import annotations

import json
from typing import Any

from stagedoor.portable.expression import source, wrap

Json = Any
WHOLE = ""
"""The saga of the workflow itself."""
NAMES = ("undos", "undos_", "undos__")


class Journal:
    """Its expressions; ``key`` is its key in the context."""

    def __init__(self, document: Json) -> None:
        text = json.dumps(document)
        self.key = next((name for name in NAMES if name not in text), "stagedoor_undos")

    @property
    def entries(self) -> str:
        return f"$context.{self.key} // []"

    def keep(self, task: Json) -> None:
        """A task's own export leaves the list as it is."""
        said = task["export"]
        if "as" in said:
            own = source(said["as"], bare=True)
            task["export"] = {**said, "as": wrap(f"({own}) + {{{self.key}: ({self.entries})}}")}

    def change(self, task: Json, change: str) -> None:
        """Once the task is done the list is ``change``: over the task's output, with ``$kept``, the list until then,
        ``$output``, and ``$context`` as the task's own export leaves it."""
        said = task.get("export") or {}
        own = source(said["as"], bare=True) if "as" in said else "$context"
        bound = ""
        if "$kept" in change:
            bound += f"({self.entries}) as $kept | "
        if own != "$context":
            bound += f"({own}) as $context | "
        if "$output" in change:
            bound += ". as $output | "
        task["export"] = {"as": wrap(f"{bound}$context + {{{self.key}: ({change})}}")}

    def done(self, name: str, saga: str, arguments: str, *, begun: bool) -> str:
        """An undo is due; ``begun``: it has been since the task began, with other arguments."""
        before = "$kept"
        if begun:
            last = f"[to_entries[] | select(.value.of == {json.dumps(name)}).key] | last"
            before = f"($kept | ({last}) as $at | if $at == null then . else del(.[$at]) end)"
        return f"{before} + [{self._entry(name, saga, 'completed', arguments)}]"

    def begun(self, name: str, saga: str, arguments: str) -> str:
        """Before a task begins: it has no output yet."""
        entry = self._entry(name, saga, "unknown", f". as $input | null as $output | null | {arguments}")
        return f"$kept + [{entry}]"

    def _entry(self, name: str, saga: str, outcome: str, arguments: str) -> str:
        if "$outcome" in arguments:
            arguments = f'"{outcome}" as $outcome | {arguments}'
        return f"{{of: {json.dumps(name)}, in: {json.dumps(saga)}, with: ({arguments})}}"

    def hand_over(self, saga: str, outer: str) -> str:
        return f"$kept | map(if .in == {json.dumps(saga)} then .in = {json.dumps(outer)} else . end)"

    def of(self, saga: str, names: list[str] | None = None) -> str:
        """The entries of a saga, and of these undos alone, the latest first, each with the place ``at`` which it has in
        the list."""
        conditions = [] if saga == WHOLE else [f".in == {json.dumps(saga)}"]
        if names is not None:
            conditions.append("(" + " or ".join(f".of == {json.dumps(name)}" for name in names) + ")")
        chosen = f" | select({' and '.join(conditions)})" if conditions else ""
        return f"[{self.entries} | to_entries[] | .value + {{at: .key}}{chosen}] | reverse"

    def forget(self) -> Json:
        """The entry ``$done`` is not in the list any more."""
        return {
            "set": "${ . }",
            "export": {"as": wrap(f"$context + {{{self.key}: ($context.{self.key} | del(.[$done.at]))}}")},
        }
