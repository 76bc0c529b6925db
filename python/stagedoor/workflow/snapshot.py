"""The state of a machine as JSON, and back.

A state is a graph: frames, undos and what they share. Each of its objects is written once, by number, with its fields;
tasks and other parts of the definition by their address; the data of the workflow once for all who hold it, so that
what was the same stays the same. Values over secrets are written as their expressions: no secret is in a snapshot.

    {format, definition, execution, rules, at, fields: {kind: [name]}, objects: [[kind, value...]], data, timeline}

A frame's kind is its class, and its first value the address of its task. A value is a number, text, true, false or null
as it is, ``{}`` where a field has none yet, or an object with one member that says what it is:

    o: an object   t: a part of the definition   d: data    e: an entry of the timeline   m: a method of an object
    l: a list      u: a tuple    q: a queue      s: a set   k: a mapping, as pairs         c: a command, event or manner
    x: a failure   w: data with expressions over secrets
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import fields
from types import MethodType
from typing import TYPE_CHECKING, Any, get_args

from stagedoor.errors import StagedoorError
from stagedoor.workflow import commands, events, manner
from stagedoor.workflow.address import Addresses, addresses
from stagedoor.workflow.child_undo import ChildUndo
from stagedoor.workflow.commands import Call
from stagedoor.workflow.consumption import Consumption, Taken
from stagedoor.workflow.deadline import Deadline
from stagedoor.workflow.error import Failure
from stagedoor.workflow.frame import Frame, Strand
from stagedoor.workflow.identifiers import Identifiers, Sendings
from stagedoor.workflow.manner import Authentication
from stagedoor.workflow.saga import Irreversible, Saga
from stagedoor.workflow.secret import Deferred, LateExpression
from stagedoor.workflow.timeline import Entry, Timeline
from stagedoor.workflow.undo import Undo
from stagedoor.workflow.unwinding import Unwinding

if TYPE_CHECKING:
    from stagedoor.workflow.machine import Machine

Json = Any

MACHINE = "machine"
FORMAT = 2
"""Of the state. It is raised with every change of the fields of what is written, and ``UPGRADES`` then says how the
older form becomes the newer one: logs that begin at a snapshot have nothing else."""


_TURNS = {"_begun": 0, "_queued": False, "_transitions": 0, "_turn": None, "_turns": 0, "busy": False}
"""What 2 knows of a machine that 1 did not."""


def _in_turns(state: Json) -> Json:
    """1 did not say since when an answer is waited for, and knew no turns."""
    old = state["fields"][MACHINE]
    new = sorted([*old, *_TURNS])

    def upgraded(written: Json) -> Json:
        if written[0] != MACHINE:
            return written
        values = dict(zip(old, written[1:], strict=True)) | _TURNS
        waits = [[key, {"u": [*wait["u"], state["at"]]}] for key, wait in values["_waits"]["k"]]
        return [MACHINE, *({**values, "_waits": {"k": waits}}[name] for name in new)]

    objects = [upgraded(each) for each in state["objects"]]
    return {**state, "format": 2, "fields": {**state["fields"], MACHINE: new}, "objects": objects}


UPGRADES: dict[int, Callable[[Json], Json]] = {1: _in_turns}
"""Format → makes the next one of it."""

KINDS: dict[str, Any] = {
    "child_undo": ChildUndo,
    "consumption": Consumption,
    "deadline": Deadline,
    "identifiers": Identifiers,
    "irreversible": Irreversible,
    "saga": Saga,
    "sendings": Sendings,
    "strand": Strand,
    "taken": Taken,
    "undo": Undo,
    "unwinding": Unwinding,
}
"""Objects of a state beside the machine and its frames; the class of a frame follows from its task."""
_KIND_OF = {kind: name for name, kind in KINDS.items()}

RECORDS: dict[str, type] = {
    record.__name__: record
    for record in (
        *get_args(commands.Command),
        events.ExecutionStarted,
        events.SuspendRequested,
        events.UndoRequested,
        manner.Authentication,
        manner.Mcp,
        manner.Manner,
    )
}
"""Immutable values that are written with all their fields."""

HELD = {
    "_agenda",
    "_drained",
    "_due",
    "_filled",
    "_numbers",
    "_once",
    "_resolved",
    "_runs",
    "_seen",
    "_sent_once",
    "_waits",
    "branches",
    "consumed",
    "entries",
    "locals",
    "outputs",
    "sendings",
    "steps",
    "undoing",
}
"""Fields whose lists and mappings belong to the state: they are changed in place, or hold more than data. Every other
list or mapping is data."""
ELSEWHERE = {"machine", "definition", "_out", "moves", "runs"}
"""Fields that are not written: known when a state is read, empty between two events, or written apart."""
METHODS = {"undone", "unwind", "unwound"}
"""Of frames and the machine: what is done once something is over."""
PLAIN = frozenset({str, int, float, bool})
SECRETIVE = {"headers", "query", "body", "properties"}
"""Fields of calls and authentications that may hold values over secrets."""


class SnapshotUnreadable(StagedoorError):
    """A state that this release cannot go on from, or one of another definition."""


def slots(kind: type) -> tuple[str, ...]:
    """The fields of a kind of object."""
    known = _SLOTS.get(kind)
    if known is None:
        found = [name for base in kind.__mro__ for name in getattr(base, "__slots__", ())]
        known = _SLOTS[kind] = tuple(sorted(name for name in found if name not in ELSEWHERE))
    return known


_SLOTS: dict[type, tuple[str, ...]] = {}


def write(machine: Machine) -> Json:
    """JSON that shares the workflow's data with the machine, and nothing that changes."""
    return _Writer(machine).write()


def read(machine: Machine, state: Json, rules: int) -> None:
    """Into a machine that was fed nothing. ``rules`` are the newest that it knows. Raises ``SnapshotUnreadable``."""
    known = state.get("format") if isinstance(state, dict) else None
    while known in UPGRADES:
        state = UPGRADES[known](state)
        known = state["format"]
    if known != FORMAT:
        raise SnapshotUnreadable(f"a snapshot of format {known!r}; this release reads up to {FORMAT}")
    if state["definition"] != machine.definition.hash:
        raise SnapshotUnreadable(f"a snapshot of another version of {machine.definition.key}")
    if state["rules"] > rules:
        raise SnapshotUnreadable(f"a snapshot by rules {state['rules']}; this machine knows up to {rules}")
    try:
        _Reader(machine, state).read()
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise SnapshotUnreadable(f"a snapshot that is damaged: {type(error).__name__}: {error}") from error


class _Writer:
    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._addresses: Addresses = addresses(machine.definition)
        self._fields: dict[str, tuple[str, ...]] = {}
        self._objects: list[Json] = []
        self._data: list[Json] = []
        self._numbers: dict[int, int] = {}
        """Of objects and of data, by identity: all of them live as long as the machine does."""
        self._todo: deque[tuple[Any, Json]] = deque()
        self._entries = machine.runs.entries
        self._places = {id(entry): number for number, entry in enumerate(self._entries)}
        self._others: list[Entry] = []
        """Entries that the timeline has no room for."""

    def write(self) -> Json:
        machine = self._machine
        self._object(machine)
        while self._todo:
            found, written = self._todo.popleft()
            kind = type(found)
            for name in slots(kind):
                value = getattr(found, name, _Unset)
                # Most are plain; there are many where much was done that can be undone.
                if value is None or (type(value) in PLAIN and kind is not Strand):
                    written.append(value)
                elif value is _Unset:
                    written.append({})
                else:
                    written.append(self._field(found, name, value))
        return {
            "format": FORMAT,
            "definition": machine.definition.hash,
            "execution": machine.execution,
            "rules": machine.rules,
            "at": machine.now,
            "fields": self._fields,
            "objects": self._objects,
            "data": self._data,
            "timeline": {
                "dropped": machine.runs.dropped,
                "entries": [_row(entry) for entry in self._entries],
                "others": [_row(entry) for entry in self._others],
            },
        }

    def _field(self, owner: Any, name: str, value: Any) -> Json:
        if name == "context" and type(owner) is Strand:
            # Branches are compared by whether they still have the very context that they began with.
            return self._datum(value)
        if name in HELD:
            if type(value) is list:
                return {"l": [self._value(each) for each in value]}
            if type(value) is dict:
                return {"k": [[self._value(key), self._value(each)] for key, each in value.items()]}
        return self._value(value)

    def _value(self, value: Any) -> Json:
        kind = type(value)
        if value is None or kind in PLAIN:
            return value
        if kind in (dict, list):
            return self._datum(value)
        if value is self._machine or kind in _KIND_OF or isinstance(value, Frame):
            return {"o": self._object(value)}
        if kind is Entry:
            return {"e": self._entry(value)}
        if kind is tuple:
            return {"u": [self._value(each) for each in value]}
        if kind is deque:
            return {"q": [self._value(each) for each in value]}
        if kind is set:
            return {"s": [self._value(each) for each in sorted(value)]}
        address = self._addresses.of(value)
        if address is not None:
            return {"t": address}
        if kind is Failure:
            return {"x": [self._value(value.error), value.unknown, value.fatal]}
        if kind.__name__ in RECORDS:
            return {"c": [kind.__name__, {each.name: self._part(value, each.name) for each in fields(value)}]}
        if isinstance(value, MethodType) and value.__name__ in METHODS:
            return {"m": [self._value(value.__self__), value.__name__]}
        raise TypeError(f"{kind.__name__} is no part of a state")

    def _part(self, record: Any, name: str) -> Json:
        value = getattr(record, name)
        secretive = name in SECRETIVE and isinstance(record, Call | Authentication)
        if secretive and (not isinstance(record, Call) or record.manner is not None):
            return {"w": self._walked(value)}
        return self._value(value)

    def _walked(self, value: Any) -> Json:
        if isinstance(value, Deferred):
            expression = value.expression
            values = [self._value(each) for each in value.values]
            return {"$": [value.source, list(expression.names), self._value(value.data), values, value.now]}
        if isinstance(value, dict):
            return {".": [[key, self._walked(each)] for key, each in value.items()]}
        return [self._walked(each) for each in value] if isinstance(value, list) else value

    def _object(self, found: Any) -> int:
        number = self._numbers.get(id(found))
        if number is None:
            number = self._numbers[id(found)] = len(self._objects)
            frame = isinstance(found, Frame)
            kind = type(found).__name__ if frame else _KIND_OF.get(type(found), MACHINE)
            if kind not in self._fields:
                self._fields[kind] = slots(type(found))
            written = [kind, self._addresses.of(found.task)] if frame else [kind]
            self._objects.append(written)
            self._todo.append((found, written))
        return number

    def _datum(self, value: Json) -> Json:
        number = self._numbers.get(id(value))
        if number is None:
            number = self._numbers[id(value)] = len(self._data)
            self._data.append(value)
        return {"d": number}

    def _entry(self, entry: Entry) -> int:
        number = self._places.get(id(entry))
        if number is None:
            number = self._places[id(entry)] = len(self._entries) + len(self._others)
            self._others.append(entry)
        return number


class _Reader:
    def __init__(self, machine: Machine, state: Json) -> None:
        self._machine = machine
        self._state = state
        self._addresses = addresses(machine.definition)
        self._data: list[Json] = state["data"]
        timeline = state["timeline"]
        self._timeline = Timeline()
        self._timeline.dropped = timeline["dropped"]
        self._timeline.entries = [_entry(row) for row in timeline["entries"]]
        self._entries = [*self._timeline.entries, *map(_entry, timeline["others"])]
        self._objects = [self._empty(*written[:2]) for written in state["objects"]]

    def read(self) -> None:
        for found, written in zip(self._objects, self._state["objects"], strict=True):
            names = self._state["fields"][written[0]]
            if tuple(names) != slots(type(found)):
                raise KeyError(f"the fields of {written[0]}")
            values = written[2:] if isinstance(found, Frame) else written[1:]
            for name, value in zip(names, values, strict=True):
                if value != {}:
                    setattr(found, name, self._value(value))
        self._machine.runs = self._timeline

    def _empty(self, kind: str, task: Json = None) -> Any:
        if kind == MACHINE:
            return self._machine
        if kind in KINDS:
            found = KINDS[kind].__new__(KINDS[kind])
        else:
            part = self._addresses.part(task)
            found = part.frame.__new__(part.frame)
        if hasattr(type(found), "machine"):
            found.machine = self._machine
        return found

    def _value(self, value: Json) -> Any:
        if not isinstance(value, dict):
            return value
        [(tag, held)] = value.items()
        match tag:
            case "o":
                return self._objects[held]
            case "d":
                return self._data[held]
            case "t":
                return self._addresses.part(held)
            case "e":
                return self._entries[held]
            case "l":
                return self._values(held)
            case "u":
                return tuple(self._values(held))
            case "q":
                return deque(self._values(held))
            case "s":
                return set(self._values(held))
            case "k":
                return {self._value(key): self._value(each) for key, each in held}
            case "x":
                return Failure(self._value(held[0]), unknown=held[1], fatal=held[2])
            case "c":
                return RECORDS[held[0]](**{name: self._value(each) for name, each in held[1].items()})
            case "m":
                if held[1] not in METHODS:
                    raise KeyError(held[1])
                return getattr(self._value(held[0]), held[1])
            case "w":
                return self._walked(held)
        raise KeyError(tag)

    def _values(self, held: Iterable[Json]) -> list[Any]:
        return [self._value(each) for each in held]

    def _walked(self, value: Json) -> Any:
        if isinstance(value, list):
            return [self._walked(each) for each in value]
        if not isinstance(value, dict):
            return value
        if "." in value:
            return {key: self._walked(each) for key, each in value["."]}
        source, names, data, values, now = value["$"]
        expression = LateExpression(source, names)
        return Deferred(source, self._value(data), tuple(self._values(values)), now, expression)


class _Unset:
    """A field that has no value yet."""


ROW = ("task", "name", "kind", "path", "at", "undoes", "until", "outcome", "attempt", "call", "error")


def _row(entry: Entry) -> Json:
    return [getattr(entry, name) for name in ROW]


def _entry(row: Json) -> Entry:
    entry = Entry.__new__(Entry)
    for name, value in zip(ROW, row, strict=True):
        setattr(entry, name, value)
    return entry
