"""Names for the parts of a definition, so that what refers to them can be written down and read back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from stagedoor.workflow.definition import Definition, Task


class Addresses:
    """Of every task, ``KIND REFERENCE``, with a number behind it where several share that; and of the other immutable
    parts, ``ADDRESS#FIELD.FIELD`` of the task that has them first."""

    __slots__ = ("_names", "_parts")

    def __init__(self, definition: Definition) -> None:
        self._parts: dict[str, Any] = {}
        self._names: dict[int, str] = {}
        self._add(definition.saga, "#saga")
        waiting: list[Task] = [definition.root]
        while waiting:
            task = waiting.pop()
            if id(task) in self._names:
                continue
            plain = name = f"{task.kind} {task.reference}"
            number = 1
            while name in self._parts:
                number += 1
                name = f"{plain} {number}"
            self._add(task, name)
            waiting += reversed(list(self._below(task, f"{name}#")))

    def _add(self, part: Any, name: str) -> None:
        self._parts[name] = part
        self._names[id(part)] = name

    def _below(self, part: Any, prefix: str) -> Iterator[Task]:
        """The tasks that a part holds; parts on the way to them get their names."""
        for field in fields(part):
            held = getattr(part, field.name)
            for index, each in enumerate(held) if isinstance(held, tuple) else ((None, held),):
                if isinstance(each, Task):
                    yield each
                elif is_dataclass(each) and not isinstance(each, type):
                    name = f"{prefix}{field.name}" if index is None else f"{prefix}{field.name}.{index}"
                    if id(each) not in self._names:
                        self._add(each, name)
                    yield from self._below(each, f"{name}.")

    def tasks(self) -> Iterator[Task]:
        """Every task, in no particular order."""
        return (part for part in self._parts.values() if isinstance(part, Task))

    def of(self, part: Any) -> str | None:
        """None: it is no part of the definition."""
        return self._names.get(id(part))

    def part(self, name: str) -> Any:
        """Raises ``KeyError``."""
        return self._parts[name]


def addresses(definition: Definition) -> Addresses:
    """Made when they are first asked for, and kept with the definition."""
    if not definition.addresses:
        definition.addresses.append(Addresses(definition))
    found: Addresses = definition.addresses[0]
    return found
