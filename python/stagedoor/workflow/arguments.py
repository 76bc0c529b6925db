"""Runtime arguments of expressions, built only for those that name them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stagedoor.workflow.duration import moment

if TYPE_CHECKING:
    from stagedoor.workflow.frame import Frame
    from stagedoor.workflow.machine import Machine

Json = Any


def runtime(rules: int) -> Json:
    """``rules`` are those that an execution began with."""
    return {"name": "stagedoor", "version": str(rules), "metadata": {}}


def workflow(machine: Machine) -> Json:
    started = machine.started
    return {
        "id": machine.execution,
        "definition": machine.definition.document,
        "input": machine.input,
        "startedAt": None if started is None else _when(started.at),
    }


def task(frame: Frame) -> Json:
    found = frame.task
    argument = {"name": found.name, "reference": found.reference, "definition": found.document, "input": frame.input}
    if frame.started is not None:
        argument["startedAt"] = _when(frame.started)
    return argument


def _when(at: float) -> Json:
    """As the specification describes a moment: ISO 8601, and seconds and milliseconds since the epoch."""
    return {"iso8601": moment(at), "epoch": {"seconds": int(at), "milliseconds": int(at * 1000)}}
