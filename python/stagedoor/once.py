"""One execution of one workflow, with a data plane and a store of its own that are gone afterwards."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from stagedoor import _core, config
from stagedoor.config import Configuration
from stagedoor.config.listener import Listener
from stagedoor.errors import Conflict, StagedoorError
from stagedoor.notices import Notices
from stagedoor.orchestrator import Orchestrator, orchestrate, reach

LOOK_S = 0.05
"""Between two looks at how far it is."""
SETTLE_S = 2.0
DRAIN_S = 1.0
ENDED = frozenset({"completed", "faulted", "cancelled"})
Json = Any


class CannotRun(StagedoorError):
    """What keeps a workflow from being run."""


async def once(
    configuration: Configuration, workflow: str, input: Json, tell: Callable[[Json], None], stop: asyncio.Event
) -> Json:
    """Runs it to its end, or until it waits for an operator, whom there is none; what came of it, as the admin endpoint
    shows executions. ``tell`` gets the same each time that it went on; ``stop`` cancels it, and what it did is undone.

    The configuration's clusters, secrets, activities and other workflows are there; its listeners, routes and schedules
    are not.
    """
    with TemporaryDirectory(prefix="stagedoor-") as name:
        folder = Path(name)
        plane = _core.DataPlane()
        notices = Notices(plane)
        orchestrator = await orchestrate(plane, notices, configuration, folder / "store.db")
        try:
            try:
                plane.start(json.dumps(config.compile(_alone(configuration, folder))))
            except (ValueError, OSError) as error:
                raise CannotRun(str(error)) from None
            reach(orchestrator, configuration)
            notices.begin()
            orchestrator.engine.begin()
            return await _run(orchestrator, workflow, input, tell, stop)
        finally:
            await orchestrator.engine.stop(SETTLE_S)
            await orchestrator.retention.stop()
            await orchestrator.event_log.close()
            await asyncio.to_thread(plane.drain, DRAIN_S)
            await asyncio.to_thread(plane.stop)


def _alone(configuration: Configuration, folder: Path) -> Configuration:
    """Without anything that others could reach; a data plane has a listener, so it gets one in a folder of its own."""
    door = {"run": Listener(bind=f"unix:{folder / 'door'}")}
    settings = configuration.settings.model_copy(update={"listeners": door, "routes": {}, "apis": {}, "workers": 1})
    return replace(configuration, settings=settings)


async def _run(
    orchestrator: Orchestrator, workflow: str, input: Json, tell: Callable[[Json], None], stop: asyncio.Event
) -> Json:
    definition = orchestrator.definitions.current(workflow)
    if definition is None:
        raise CannotRun(f"there is no workflow {workflow}")
    id = orchestrator.engine.start_scheduled(definition, input, ())
    if id is None:
        raise CannotRun("the execution cannot be started: its input is too large, or the store cannot be written")
    stopped = False
    while True:
        shown = await orchestrator.operator.show(id)
        if shown is not None:
            tell(shown)
            if shown["status"] in ENDED or any(each["resolved"] is None for each in shown["incidents"]):
                return shown
        if stop.is_set() and not stopped:
            try:
                stopped = await orchestrator.operator.cancel(id, "stopped on the terminal", "terminal")
            except Conflict:
                # What it did is undone already, unless it has not begun.
                stopped = shown is not None
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait() if stopped else stop.wait(), LOOK_S)
