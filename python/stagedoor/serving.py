"""What serves: the configuration as it stands, in the data plane, the orchestrator and the registry, and how a new one
takes its place as a whole."""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from stagedoor import _core, config, logs
from stagedoor.config import Configuration, InvalidConfiguration
from stagedoor.errors import StagedoorError
from stagedoor.identity.fetch import Fetcher
from stagedoor.identity.issuers import Issuers
from stagedoor.notices import Notices
from stagedoor.orchestrator import Orchestrator, orchestrate, use
from stagedoor.registry.credentials import of_configuration
from stagedoor.registry.registry import Registry

CRASH_VARIABLE = "STAGEDOOR_CRASH_AFTER_EVENT"

Json = Any
log = logging.getLogger("stagedoor.gateway")


class CannotApply(StagedoorError):
    """A new configuration is of what only a new process can have."""


class Serving:
    """``lost`` is called when another process has taken the store over."""

    def __init__(self, configuration: Configuration, lost: Callable[[str], None]) -> None:
        self.configuration = configuration
        self.plane = _core.DataPlane()
        self.notices = Notices(self.plane)
        self.issuers = Issuers(self.plane, Fetcher(self.plane, self.notices))
        self.notices.handle({_core.KeysWanted: self.issuers.wanted, _core.Trouble: _tell_trouble})
        self.registry = Registry(configuration.store, self.plane)
        self.orchestrator: Orchestrator | None = None
        self._snapshot = ""
        self._lost = lost

    async def open_store(self) -> None:
        """Put the orchestrator together. StoreInUse if another process has the store, StoreError if it cannot be
        opened."""
        self.orchestrator = await self._orchestrate(self.configuration)

    def compile(self) -> None:
        """What the data plane starts with. ValueError says what is wrong with it."""
        self._snapshot = json.dumps(config.compile(self.configuration))

    async def start_plane(self) -> dict[str, str]:
        """The addresses by listener. ValueError, OSError if one cannot be bound."""
        return self.plane.start(self._snapshot)

    def load_registry(self) -> None:
        self._use_registry(self.configuration)
        self.registry.load()

    def begin(self) -> None:
        """Take what comes: everything is bound."""
        self.notices.begin()
        self.issuers.use(self.configuration.settings.issuers)
        if self.orchestrator is not None:
            self.orchestrator.begin()

    async def apply(self, new: Configuration) -> bool:
        """All of it or, with an error, none of it; False if it says the same as the one that serves. CannotApply,
        ValueError, OSError, StagedoorError say why it cannot be."""
        old, orchestrator = self.configuration, self.orchestrator
        same_place(old, new)
        snapshot = json.dumps(config.compile(new))
        before_hashes = {name: each.hash for name, each in old.workflows.items()}
        workflows = {name: each.hash for name, each in new.workflows.items()}
        same = workflows == before_hashes and new.settings == old.settings and new.pem == old.pem
        if snapshot == self._snapshot and same:
            return False
        if orchestrator is None and new.workflows:
            orchestrator = await self._orchestrate(new)
            orchestrator.begin()
        elif orchestrator is not None:
            await orchestrator.definitions.keep(new.workflows.values())
            # Both are known while the programs change places: a route never meets a workflow that is not there.
            both = replace(new, workflows={**old.workflows, **new.workflows})
            use(orchestrator, both)
        self.orchestrator = orchestrator
        try:
            await asyncio.to_thread(self.plane.apply, snapshot)
        except (ValueError, OSError):
            if orchestrator is not None:
                use(orchestrator, old)
            raise
        if orchestrator is not None:
            use(orchestrator, new)
        logs.setup(new.settings.telemetry.logs.format, new.settings.telemetry.logs.level)
        self.configuration, self._snapshot = new, snapshot
        self._use_registry(new)
        self.issuers.use(new.settings.issuers)
        tell_problems(new)
        if new.faults:
            log.error("what these files held before stays in use; everything else is as it stands now")
        return True

    async def _orchestrate(self, configuration: Configuration) -> Orchestrator:
        crash = os.environ.get(CRASH_VARIABLE)
        orchestrator = await orchestrate(
            self.plane,
            self.notices,
            configuration,
            configuration.store,
            int(crash) if crash else None,
            self._lost,
        )
        use(orchestrator, configuration)
        return orchestrator

    def _use_registry(self, configuration: Configuration) -> None:
        settings = configuration.settings
        self.registry.use(_fixed(configuration), settings.plans, of_configuration(settings.consumers))


async def load(configuration: Configuration) -> Configuration | None:
    """It as its files are now; None if they are wrong, and the log then says all that is."""
    try:
        return await asyncio.to_thread(config.load, configuration.path)
    except InvalidConfiguration as invalid:
        for problem in invalid.problems:
            level = logging.WARNING if problem.severity == "warning" else logging.ERROR
            log.log(level, "%s", problem)
        log.error("the new configuration is wrong: the old one keeps serving")
    except (ValueError, OSError, StagedoorError) as error:
        log.error("the new configuration cannot be read: the old one keeps serving: %s", error)
    except Exception:
        log.exception("the new configuration cannot be read: the old one keeps serving")
    return None


def same_place(old: Configuration, new: Configuration) -> None:
    """CannotApply if the new one is of what only a new process can have."""
    for what, before, after in (
        ("engine.store", old.store, new.store),
        ("admin", old.settings.admin, new.settings.admin),
    ):
        if before != after:
            raise CannotApply(f"{what} cannot be changed while running: start the gateway anew")


def tell_problems(configuration: Configuration) -> None:
    for fault in configuration.faults:
        log.error("%s", fault)
    for warning in configuration.warnings:
        log.warning("%s", warning)


def _tell_trouble(trouble: _core.Trouble) -> None:
    log.warning("%s", trouble.text)


def _fixed(configuration: Configuration) -> dict[str, Json]:
    """What is shown of the configuration's own consumers."""
    return {
        name: {
            "groups": list(each.groups),
            "plan": each.plan,
            "versions": dict(each.versions),
            "keys": len(each.api_keys),
            "credentials": len(each.basic) + len(each.certificates) + len(each.signature_keys),
        }
        for name, each in configuration.settings.consumers.items()
    }
