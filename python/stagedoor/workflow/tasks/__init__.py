"""The kinds of tasks: one file each, with its compiled form, how it is read from a document, and how it runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from stagedoor.workflow.definition import Task
from stagedoor.workflow.tasks import call, do, emit, for_, fork, listen, raise_, run, set, switch, try_, wait

KINDS: dict[str, Callable[[Any, Any, Any, Any], Task | None]] = {
    "do": do.compile,
    "call": call.compile,
    "run": run.compile,
    "set": set.compile,
    "switch": switch.compile,
    "emit": emit.compile,
    "for": for_.compile,
    "fork": fork.compile,
    "try": try_.compile,
    "listen": listen.compile,
    "raise": raise_.compile,
    "wait": wait.compile,
}
"""By the key that names the kind in a document."""

UNSUPPORTED: tuple[str, ...] = ()
