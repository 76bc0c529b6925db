"""The composition root: configuration, data plane, engine and admin endpoint, from start to drain."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import signal
import ssl
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from stagedoor import _core, config, logs
from stagedoor.admin.app import Admin, Certificate, Token
from stagedoor.config import Configuration, InvalidConfiguration
from stagedoor.config.admin import context as admin_context
from stagedoor.config.admin import faults as admin_faults
from stagedoor.engine.operate import Operator
from stagedoor.errors import StagedoorError
from stagedoor.identity.fetch import Fetcher
from stagedoor.identity.issuers import Issuers
from stagedoor.notices import Notices
from stagedoor.orchestrator import Orchestrator, orchestrate, use
from stagedoor.registry.credentials import of_configuration
from stagedoor.registry.refused import Refused
from stagedoor.registry.registry import Registry
from stagedoor.watch import Watch

DRAIN_S = 30.0
"""How long exchanges may take to finish after SIGTERM or SIGINT."""
LOOK_S = 1.0
"""Between two looks at the files of the configuration."""
SETTLE_S = 2.0
"""How long calls of workflows may take to come back after the drain; what does not is repeated at the next start."""
SWITCH_S = 0.0005
"""The event log's thread wants the interpreter for microseconds after each commit: let it not wait the usual 5 ms."""
GARBAGE = 20_000
"""New objects after which the garbage collector looks for cycles; Python's own 700 is many times per execution."""
USED_S = 30.0
"""Between two times that it is written down when keys were last used."""
CRASH_VARIABLE = "STAGEDOOR_CRASH_AFTER_EVENT"

Json = Any
log = logging.getLogger("stagedoor.gateway")


class CannotStart(StagedoorError):
    """What keeps the gateway from starting."""


@dataclass(frozen=True, slots=True)
class Options:
    """How a gateway is run."""

    addresses: Path | None = None
    """Where to write ``{"listeners": {NAME: ADDRESS}, "admin": ADDRESS}`` once everything is bound."""
    drain_s: float = DRAIN_S


def run(configuration: Configuration, options: Options) -> int:
    """Serve until SIGTERM or SIGINT; the exit code: 0 when every exchange was finished. CannotStart says why not."""
    return asyncio.run(Gateway(configuration, options).run())


class Gateway:
    def __init__(self, configuration: Configuration, options: Options) -> None:
        self._configuration, self._options = configuration, options
        self._snapshot = ""
        self._plane = _core.DataPlane()
        self._notices = Notices(self._plane)
        self._issuers = Issuers(self._plane, Fetcher(self._plane, self._notices))
        self._notices.handle({_core.KeysWanted: self._issuers.wanted, _core.Trouble: _tell_trouble})
        self._registry = Registry(configuration.store, self._plane)
        self._orchestrator: Orchestrator | None = None
        self._draining = False
        self._reloading = asyncio.Lock()
        self._ended = asyncio.Event()
        self._admin_tls: ssl.SSLContext | None = None

    async def run(self) -> int:
        sys.setswitchinterval(SWITCH_S)
        # Before anything that takes time: what changes while the gateway starts is a change.
        watch = Watch(self._configuration.watched)
        loop = asyncio.get_running_loop()
        # Also before: a signal that comes as soon as the gateway answers must not end it by the system's default.
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._on_end)
        started = asyncio.Event()
        reloads: set[asyncio.Task[None]] = set()

        async def reload() -> None:
            await started.wait()
            await self._reload(watch)

        def on_reload() -> None:
            task = loop.create_task(reload())
            reloads.add(task)
            task.add_done_callback(reloads.discard)

        loop.add_signal_handler(signal.SIGHUP, on_reload)
        admin = await self._start()
        started.set()
        tasks = [loop.create_task(self._watch(watch)), loop.create_task(self._keep_times())]
        await self._ended.wait()
        for task in tasks:
            task.cancel()
        return await self._drain(admin)

    # Starting.

    async def _start(self) -> Admin:
        configuration = self._configuration
        settings = configuration.settings
        logs.setup(settings.telemetry.logs.format, settings.telemetry.logs.level)
        _tell_problems(configuration)
        self._snapshot = json.dumps(config.compile(configuration))
        try:
            if configuration.workflows or configuration.store.exists():
                self._orchestrator = await self._orchestrate(configuration)
                recovered = self._orchestrator.engine.recover()
                if recovered:
                    log.info("executions recovered", extra={"executions": recovered})
            addresses = self._plane.start(self._snapshot)
            self._use_registry(configuration)
            self._registry.load()
            if settings.admin.tls is not None:
                self._admin_tls = admin_context(settings.admin.tls, configuration.path.parent)
            admin = _admin(self, configuration, self._registry, self._admin_tls)
            at = await admin.start()
        except (ValueError, OSError) as error:
            raise CannotStart(str(error)) from None
        self._notices.begin()
        self._issuers.use(configuration.settings.issuers)
        if self._orchestrator is not None:
            self._orchestrator.engine.begin()
        # What is here stays: the collector need not look through it again and again. What comes and goes with each
        # execution is mostly freed without it.
        gc.collect()
        gc.freeze()
        gc.set_threshold(GARBAGE, 20, 50)
        self._tell(addresses, at)
        return admin

    async def _orchestrate(self, configuration: Configuration) -> Orchestrator:
        crash = os.environ.get(CRASH_VARIABLE)
        orchestrator = await orchestrate(
            self._plane, self._notices, configuration, configuration.store, int(crash) if crash else None
        )
        use(orchestrator, configuration)
        return orchestrator

    def _tell(self, addresses: dict[str, str], admin: str) -> None:
        for name, address in addresses.items():
            scheme = "http" if self._configuration.settings.listeners[name].tls is None else "https"
            print(f"listener {name}: {scheme}://{address}", flush=True)
        print(f"admin: http://{admin}", flush=True)
        if self._options.addresses is not None:
            file = self._options.addresses
            # Renamed into place: whoever waits for the file finds it whole.
            part = file.with_name(f"{file.name}.{os.getpid()}")
            part.write_text(json.dumps({"listeners": addresses, "admin": admin}) + "\n", "utf-8")
            part.replace(file)
        log.info("serving", extra={"config": str(self._configuration.path), "listeners": addresses, "admin": admin})

    async def _keep_times(self) -> None:
        while True:
            await asyncio.sleep(USED_S)
            await asyncio.to_thread(self._registry.keep_times)

    # Reloading.

    async def _watch(self, watch: Watch) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            if watch.changed():
                await self._reload(watch)

    async def _reload(self, watch: Watch) -> None:
        """All of the new configuration, or none of it with everything that is wrong in the log."""
        async with self._reloading:
            if self._draining:
                return
            try:
                new = await asyncio.to_thread(config.load, self._configuration.path)
                changed = await self._apply(new)
            except InvalidConfiguration as invalid:
                for problem in invalid.problems:
                    level = logging.WARNING if problem.severity == "warning" else logging.ERROR
                    log.log(level, "%s", problem)
                log.error("the new configuration is wrong: the old one keeps serving")
            except (ValueError, OSError, StagedoorError) as error:
                log.error("the new configuration cannot be applied: the old one keeps serving: %s", error)
            except Exception:
                log.exception("the new configuration cannot be read: the old one keeps serving")
            else:
                if self._admin_tls is not None and new.settings.admin.tls is not None:
                    # The files are new or were found good just now; handshakes from now on use them.
                    for _, name, fault in admin_faults(new.settings.admin.tls, new.path.parent, self._admin_tls):
                        log.error("admin: tls: %s: %s", name, fault)
                watch.follow(new.watched)
                if changed:
                    log.info("configuration applied", extra={"config": str(new.path)})

    async def _apply(self, new: Configuration) -> bool:
        """False if it says the same as the one that serves."""
        old, orchestrator = self._configuration, self._orchestrator
        for what, before, after in (
            ("engine.store", old.store, new.store),
            ("admin", old.settings.admin, new.settings.admin),
        ):
            if before != after:
                raise CannotStart(f"{what} cannot be changed while running: start the gateway anew")
        snapshot = json.dumps(config.compile(new))
        before_hashes = {name: each.hash for name, each in old.workflows.items()}
        workflows = {name: each.hash for name, each in new.workflows.items()}
        same = workflows == before_hashes and new.settings == old.settings and new.pem == old.pem
        if snapshot == self._snapshot and same:
            return False
        fresh = orchestrator is None and bool(new.workflows)
        if orchestrator is None and fresh:
            orchestrator = await self._orchestrate(new)
            orchestrator.engine.begin()
        elif orchestrator is not None:
            await orchestrator.definitions.keep(new.workflows.values())
            # Both are known while the programs change places: a route never meets a workflow that is not there.
            both = replace(new, workflows={**old.workflows, **new.workflows})
            use(orchestrator, both)
        self._orchestrator = orchestrator
        try:
            await asyncio.to_thread(self._plane.apply, snapshot)
        except (ValueError, OSError):
            if orchestrator is not None:
                use(orchestrator, old)
            raise
        if orchestrator is not None:
            use(orchestrator, new)
        logs.setup(new.settings.telemetry.logs.format, new.settings.telemetry.logs.level)
        self._configuration, self._snapshot = new, snapshot
        self._use_registry(new)
        self._issuers.use(new.settings.issuers)
        _tell_problems(new)
        if new.faults:
            log.error("what these files held before stays in use; everything else is as it stands now")
        return True

    def _use_registry(self, configuration: Configuration) -> None:
        settings = configuration.settings
        self._registry.use(_fixed(configuration), settings.plans, of_configuration(settings.consumers))

    # Ending.

    def _on_end(self) -> None:
        if self._draining:
            log.warning("ended at once by a second signal")
            logging.shutdown()
            # What was acknowledged is on the disk; what was not is repeated at the next start.
            os._exit(1)
        self._draining = True
        self._ended.set()

    async def _drain(self, admin: Admin) -> int:
        log.info("draining", extra={"seconds": self._options.drain_s})
        finished = await asyncio.to_thread(self._plane.drain, self._options.drain_s)
        if not finished:
            log.warning("exchanges were cut off: the time to drain ran out")
        if self._orchestrator is not None:
            await self._orchestrator.engine.stop(SETTLE_S)
        self._issuers.stop()
        await admin.stop()
        if self._orchestrator is not None:
            await self._orchestrator.event_log.close()
        await asyncio.to_thread(self._registry.close)
        await asyncio.to_thread(self._plane.stop)
        log.info("ended")
        return 0 if finished else 1

    # What the admin endpoint asks.

    def trouble(self) -> str | None:
        if self._draining:
            return "draining"
        if self._orchestrator is not None and self._orchestrator.event_log.broken is not None:
            return "the store cannot be written"
        return None

    def metrics(self) -> str:
        own = "" if self._orchestrator is None else self._orchestrator.operator.metrics()
        return self._plane.metrics() + own

    def purge(self, what: str, value: str, soft: bool) -> int:
        hit = self._plane.purge(what, value, soft)
        log.info("cache purged", extra={"what": what, "value": value, "soft": soft, "responses": hit})
        return hit

    def versions(self) -> Any:
        return self._plane.versions()

    def cache_level(self) -> dict[str, int]:
        return self._plane.cache_level()

    def events(self) -> Operator | None:
        return self.executions()

    def executions(self) -> Operator | None:
        return None if self._orchestrator is None else self._orchestrator.operator


def _tell_trouble(trouble: _core.Trouble) -> None:
    log.warning("%s", trouble.text)


def _tell_problems(configuration: Configuration) -> None:
    for fault in configuration.faults:
        log.error("%s", fault)
    for warning in configuration.warnings:
        log.warning("%s", warning)


def _admin(gateway: Gateway, configuration: Configuration, registry: Registry, tls: ssl.SSLContext | None) -> Admin:
    settings = configuration.settings.admin
    certificates = [Certificate(name, each.mark, each.role == "write") for name, each in settings.certificates.items()]
    return Admin(gateway, settings.bind, _tokens(configuration), registry, Refused, tls, certificates)


def _tokens(configuration: Configuration) -> list[Token]:
    admin = configuration.settings.admin
    tokens = [Token(name, each.token.get_secret_value(), each.role == "write") for name, each in admin.tokens.items()]
    return tokens + ([Token("admin", admin.token.get_secret_value(), True)] if admin.token is not None else [])


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
