"""Machines that go on from snapshots, beside one that was fed everything."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from stagedoor.engine.record import encode_json
from stagedoor.workflow.commands import Command
from stagedoor.workflow.definition import Definition
from stagedoor.workflow.events import Event
from stagedoor.workflow.machine import Machine
from stagedoor.workflow.migration import machine_of

Json = Any


def resumed(machine: Machine, definition: Definition | None = None) -> Machine:
    """Another machine in the same state, by way of a snapshot as the store keeps it."""
    return Machine.restore(definition or machine.definition, json.loads(encode_json(machine.snapshot())))


def state(machine: Machine) -> str:
    """All that a machine knows, whoever shares data with whom."""
    snapshot = machine.snapshot()

    def whole(value: Json) -> Json:
        if isinstance(value, dict):
            if value.keys() == {"d"}:
                return {"data": snapshot["data"][value["d"]]}
            return {key: whole(each) for key, each in value.items()}
        return [whole(each) for each in value] if isinstance(value, list) else value

    return encode_json([whole(snapshot["objects"]), snapshot["timeline"], snapshot["at"]])


def written(commands: Sequence[Command]) -> tuple[list[Command], str]:
    """The commands, and how they are written: in which order the keys of their data stand, and of which type it is."""
    return list(commands), repr(commands)


def check_every_cut(
    definition: Definition, log: Sequence[Event], begun: Machine | None = None, whole_tails: int = 1
) -> None:
    """After each event: what goes on from a snapshot says and is what one that was fed everything says and is.

    One machine lives from snapshot to snapshot, so each step is compared; the tails behind some of the cuts are fed as
    a whole beside."""
    fed = begun or machine_of(definition, log)
    living = resumed(fed) if begun else machine_of(definition, log)
    cuts: list[tuple[int, Json]] = []
    given = []
    for number, event in enumerate(log):
        said = written(fed.feed(event))
        assert written(living.feed(event)) == said, f"after {number + 1} events"
        given.append(said)
        living = resumed(living)
        assert written(living.pending()) == written(fed.pending())
        assert (living.status, living.waiting()) == (fed.status, fed.waiting())
        if number % max(1, len(log) // whole_tails) == 0:
            cuts.append((number + 1, encode_json(fed.snapshot())))
    # What had become another state on the way would still be one.
    assert state(living) == state(fed)
    assert living.timeline() == fed.timeline()
    for first, snapshot in cuts:
        machine = Machine.restore(definition, json.loads(snapshot))
        assert [written(machine.feed(event)) for event in log[first:]] == given[first:], f"cut after {first} events"
        assert state(machine) == state(fed)
