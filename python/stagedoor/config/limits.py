"""How much the workflow engine does at once, and how far one execution may go."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from stagedoor.policies.model import Strict, size
from stagedoor.policies.unit import Size

AtOnce = Annotated[int, Field(ge=1, le=1_000_000)]
Queue = Annotated[int, Field(ge=0, le=1_000_000)]


class CallLimit(Strict):
    """Calls of workflows to one cluster."""

    at_once: AtOnce = 1000
    """On their way. More wait for their turn, each execution in its turn."""
    queue: Queue = 10_000
    """So many wait; one more fails with 503, which its task may catch. Undos wait however many do."""


class WorkflowLimit(Strict):
    """Executions of one workflow."""

    at_once: AtOnce
    """Under way: begun and not ended. Those that another execution runs are not counted."""
    queue: Queue = 1000
    """So many more are kept, and begin in the order in which they came; one more is refused with 503 and
    ``Retry-After``."""


class EngineLimits(Strict):
    """How much there may be at once, and of one execution."""

    executions: AtOnce = 10_000
    """That have not ended; one more is refused with 503 and ``Retry-After``."""
    workflows: Annotated[dict[str, WorkflowLimit], Field(max_length=1000)] = {}
    """Executions of one workflow, by ``namespace/name``."""
    calls: CallLimit = CallLimit()
    """Calls to each cluster that is not in ``clusters``; to one of HTTP/1.1 no more at once than a worker has
    connections to its endpoints."""
    clusters: Annotated[dict[str, CallLimit], Field(max_length=1000)] = {}
    """Calls to one cluster, by its name, or to one of ``engine.allow_hosts``."""
    functions: CallLimit = CallLimit()
    """Python functions that are coroutines."""
    events: Annotated[int, Field(ge=100, le=100_000_000)] = 1_000_000
    """Of the history of one execution. With more it fails, and what it did is undone, as with the following; what
    happens to undo it is not limited."""
    size: Size = size("256MiB", least="64KiB", most="1024GiB")
    """Bytes of that history as JSON, as far as the store has it."""
    tasks: Annotated[int, Field(ge=1000, le=1_000_000_000)] = 1_000_000
    """That one execution begins without waiting for anything, in steps of 1,000."""
    timers: Annotated[int, Field(ge=1, le=100_000)] = 1000
    """That one execution waits for at once."""
    listeners: Annotated[int, Field(ge=1, le=100_000)] = 1000
    """That one execution has at once."""
