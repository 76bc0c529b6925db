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
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from stagedoor import _core, config, logs
from stagedoor.admin.app import Admin, AdminError, Certificate, Token
from stagedoor.config import Configuration, InvalidConfiguration
from stagedoor.config.admin import context as admin_context
from stagedoor.config.admin import faults as admin_faults
from stagedoor.engine.measure import render
from stagedoor.engine.operate import Operator
from stagedoor.engine.retention import Retention
from stagedoor.engine.store import StoreInUse
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
STANDBY_S = 0.25
"""Between two attempts of a standby to have the store."""
HANDOVER_S = 5.0
"""How long the addresses of a process that was killed may still be its own, after its store is free."""
CRASH_VARIABLE = "STAGEDOOR_CRASH_AFTER_EVENT"

Json = Any
T = TypeVar("T")
log = logging.getLogger("stagedoor.gateway")


class CannotStart(StagedoorError):
    """What keeps the gateway from starting."""


@dataclass(frozen=True, slots=True)
class Options:
    """How a gateway is run."""

    addresses: Path | None = None
    """Where to write ``{"listeners": {NAME: ADDRESS}, "admin": ADDRESS}`` once everything is bound."""
    drain_s: float = DRAIN_S
    standby: bool = False
    """Wait for the store while another gateway has it."""


def run(configuration: Configuration, options: Options) -> int:
    """Serve until SIGTERM or SIGINT; the exit code: 0 when every exchange was finished, and nobody else has the store.
    CannotStart says why not."""
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
        self._waits_for: str | None = None
        """Who has the store, while this is a standby."""
        self._lost = False
        """Another process has taken the store over."""
        self._admin: Admin | None = None
        self._admin_at = ""
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
        if not await self._start(watch):
            return 0
        started.set()
        tasks = [loop.create_task(self._watch(watch)), loop.create_task(self._keep_times())]
        await self._ended.wait()
        for task in tasks:
            task.cancel()
        return await self._drain()

    # Starting.

    async def _start(self, watch: Watch) -> bool:
        """False if it is ended while it waits for the store."""
        telemetry = self._configuration.settings.telemetry
        logs.setup(telemetry.logs.format, telemetry.logs.level)
        _tell_problems(self._configuration)
        try:
            has_store = self._configuration.workflows or self._configuration.store.exists()
            if has_store and not await self._take_store(watch):
                await self._close_admin()
                return False
            configuration = self._configuration
            self._snapshot = json.dumps(config.compile(configuration))
            # What is read back stays: the collector need not look through it as it grows.
            gc.collect()
            gc.disable()
            if self._orchestrator is not None:
                recovered = self._orchestrator.engine.recover()
                if recovered:
                    log.info("executions recovered", extra={"executions": recovered})
            addresses = await self._begin(self._start_plane)
            self._use_registry(configuration)
            self._registry.load()
            await self._begin(self._open_admin)
        except (ValueError, OSError) as error:
            raise CannotStart(str(error)) from None
        self._waits_for = None
        self._notices.begin()
        self._issuers.use(configuration.settings.issuers)
        if self._orchestrator is not None:
            self._orchestrator.engine.begin()
            self._orchestrator.retention.begin()
        # What is here stays: the collector need not look through it again and again. What comes and goes with each
        # execution is mostly freed without it.
        gc.freeze()
        gc.enable()
        gc.set_threshold(GARBAGE, 20, 50)
        self._tell(addresses, self._admin_at)
        return True

    async def _start_plane(self) -> dict[str, str]:
        return self._plane.start(self._snapshot)

    async def _open_admin(self) -> None:
        if self._admin is not None:
            return
        settings = self._configuration.settings.admin
        if settings.tls is not None:
            self._admin_tls = admin_context(settings.tls, self._configuration.path.parent)
        admin = _admin(self, self._configuration, self._registry, self._admin_tls)
        self._admin_at = await admin.start()
        self._admin = admin

    async def _close_admin(self) -> None:
        if self._admin is not None:
            await self._admin.stop()
            self._admin = None

    async def _begin(self, begin: Callable[[], Awaitable[T]]) -> T:
        """Something that binds addresses. Those of a process that was killed are free a moment after its store."""
        end = asyncio.get_running_loop().time() + (HANDOVER_S if self._waits_for is not None else 0.0)
        while True:
            try:
                return await begin()
            except (ValueError, OSError, AdminError):
                if asyncio.get_running_loop().time() >= end:
                    raise
            await asyncio.sleep(STANDBY_S)

    async def _orchestrate(self, configuration: Configuration) -> Orchestrator:
        crash = os.environ.get(CRASH_VARIABLE)
        orchestrator = await orchestrate(
            self._plane,
            self._notices,
            configuration,
            configuration.store,
            int(crash) if crash else None,
            self._on_lost,
        )
        use(orchestrator, configuration)
        return orchestrator

    # Standing by.

    async def _take_store(self, watch: Watch) -> bool:
        """Open the store, for a standby as soon as nobody has it; False if it is ended before."""
        while True:
            try:
                self._orchestrator = await self._orchestrate(self._configuration)
            except StoreInUse as in_use:
                if not self._options.standby:
                    raise
                if self._waits_for != str(in_use):
                    log.info("standing by: %s", in_use)
                self._waits_for = str(in_use)
            else:
                if self._waits_for is not None:
                    log.info("taking over", extra={"store": str(self._configuration.store)})
                return True
            await self._stand_by()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), STANDBY_S)
                return False
            if watch.changed():
                await self._follow(watch)

    async def _stand_by(self) -> None:
        """No listener is bound: its address may be that of the gateway that serves. The admin endpoint answers, if its
        address is free."""
        if self._admin is None:
            with suppress(AdminError):
                await self._open_admin()
                print(f"admin: http://{self._admin_at}", flush=True)

    async def _follow(self, watch: Watch) -> None:
        """What is served after all is the newest configuration that was right."""
        new = await self._load()
        if new is None:
            return
        try:
            _same_place(self._configuration, new)
        except CannotStart as error:
            log.error("the new configuration cannot be applied: the old one stays: %s", error)
        else:
            self._configuration = new
            watch.follow(new.watched)
            log.info("configuration read", extra={"config": str(new.path)})

    async def _load(self) -> Configuration | None:
        """None if it is wrong; the log then says all that is."""
        try:
            return await asyncio.to_thread(config.load, self._configuration.path)
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
            new = await self._load()
            if new is None:
                return
            try:
                changed = await self._apply(new)
            except (ValueError, OSError, StagedoorError) as error:
                log.error("the new configuration cannot be applied: the old one keeps serving: %s", error)
            except Exception:
                log.exception("the new configuration cannot be applied: the old one keeps serving")
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
        _same_place(old, new)
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
            orchestrator.retention.begin()
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

    def _on_lost(self, why: str) -> None:
        """Nothing that this process does to the store counts any more; whatever it proxies it finishes."""
        log.critical("the store is lost, this gateway ends: %s", why, extra={"store": str(self._configuration.store)})
        self._lost = True
        if self._orchestrator is not None:
            self._orchestrator.engine.give_up()
        if not self._draining:
            self._on_end()

    async def _drain(self) -> int:
        log.info("draining", extra={"seconds": self._options.drain_s})
        finished = await asyncio.to_thread(self._plane.drain, self._options.drain_s)
        if not finished:
            log.warning("exchanges were cut off: the time to drain ran out")
        if self._orchestrator is not None:
            await self._orchestrator.engine.stop(SETTLE_S)
        self._issuers.stop()
        await self._close_admin()
        await asyncio.to_thread(self._registry.close)
        await asyncio.to_thread(self._plane.stop)
        if self._orchestrator is not None:
            await self._orchestrator.retention.stop()
            # Last: whoever waits for the store finds everything else free as well.
            await self._orchestrator.event_log.close()
        log.info("ended")
        return 0 if finished and not self._lost else 1

    # What the admin endpoint asks.

    def standby(self) -> str | None:
        return self._waits_for

    def trouble(self) -> str | None:
        if self._draining:
            return "draining"
        if self._waits_for is not None:
            return f"standing by: {self._waits_for}"
        if self._orchestrator is not None and self._orchestrator.event_log.broken is not None:
            return "the store cannot be written"
        return None

    def metrics(self) -> str:
        if self._waits_for is not None:
            return render("stagedoor_standby", "gauge", "1 while it waits for the store.", 1)
        own = ""
        if self._orchestrator is not None:
            own = self._orchestrator.operator.metrics() + self._orchestrator.retention.metrics()
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

    def retention(self) -> Retention | None:
        return None if self._orchestrator is None else self._orchestrator.retention

    def executions(self) -> Operator | None:
        return None if self._orchestrator is None else self._orchestrator.operator


def _same_place(old: Configuration, new: Configuration) -> None:
    """CannotStart if the new one is of what only a new process can have."""
    for what, before, after in (
        ("engine.store", old.store, new.store),
        ("admin", old.settings.admin, new.settings.admin),
    ):
        if before != after:
            raise CannotStart(f"{what} cannot be changed while running: start the gateway anew")


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
