"""The composition root: configuration, data plane, engine and admin endpoint, from start to drain."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from stagedoor import logs
from stagedoor.admin.app import AdminError
from stagedoor.admin_endpoint import AdminEndpoint
from stagedoor.config import Configuration
from stagedoor.engine.store import StoreInUse
from stagedoor.errors import StagedoorError
from stagedoor.serving import CannotApply, Serving, load, same_place, tell_problems
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
        self._options = options
        self._draining = False
        self._waits_for: str | None = None
        """Who has the store, while this is a standby."""
        self._lost = False
        """Another process has taken the store over."""
        self._reloading = asyncio.Lock()
        self._ended = asyncio.Event()
        self._serving = Serving(configuration, self._on_lost)
        self._admin = AdminEndpoint(self._serving, lambda: self._waits_for, lambda: self._draining)

    async def run(self) -> int:
        sys.setswitchinterval(SWITCH_S)
        # Before anything that takes time: what changes while the gateway starts is a change.
        watch = Watch(self._serving.configuration.watched)
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
        serving = self._serving
        telemetry = serving.configuration.settings.telemetry
        logs.setup(telemetry.logs.format, telemetry.logs.level)
        tell_problems(serving.configuration)
        try:
            has_store = serving.configuration.workflows or serving.configuration.store.exists()
            if has_store and not await self._take_store(watch):
                await self._admin.close()
                return False
            serving.compile()
            # What is read back stays: the collector need not look through it as it grows.
            gc.collect()
            gc.disable()
            if serving.orchestrator is not None:
                recovered = serving.orchestrator.engine.recover()
                if recovered:
                    log.info("executions recovered", extra={"executions": recovered})
            addresses = await self._begin(serving.start_plane)
            serving.load_registry()
            await self._begin(self._admin.open)
        except (ValueError, OSError) as error:
            raise CannotStart(str(error)) from None
        self._waits_for = None
        serving.begin()
        # What is here stays: the collector need not look through it again and again. What comes and goes with each
        # execution is mostly freed without it.
        gc.freeze()
        gc.enable()
        gc.set_threshold(GARBAGE, 20, 50)
        self._tell(addresses)
        return True

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

    def _tell(self, addresses: dict[str, str]) -> None:
        configuration, admin = self._serving.configuration, self._admin.address
        for name, address in addresses.items():
            scheme = "http" if configuration.settings.listeners[name].tls is None else "https"
            print(f"listener {name}: {scheme}://{address}", flush=True)
        print(f"admin: http://{admin}", flush=True)
        if self._options.addresses is not None:
            file = self._options.addresses
            # Renamed into place: whoever waits for the file finds it whole.
            part = file.with_name(f"{file.name}.{os.getpid()}")
            part.write_text(json.dumps({"listeners": addresses, "admin": admin}) + "\n", "utf-8")
            part.replace(file)
        log.info("serving", extra={"config": str(configuration.path), "listeners": addresses, "admin": admin})

    async def _keep_times(self) -> None:
        while True:
            await asyncio.sleep(USED_S)
            await asyncio.to_thread(self._serving.registry.keep_times)

    # Standing by.

    async def _take_store(self, watch: Watch) -> bool:
        """Open the store, for a standby as soon as nobody has it; False if it is ended before."""
        while True:
            try:
                await self._serving.open_store()
            except StoreInUse as in_use:
                if not self._options.standby:
                    raise
                if self._waits_for != str(in_use):
                    log.info("standing by: %s", in_use)
                self._waits_for = str(in_use)
            else:
                if self._waits_for is not None:
                    log.info("taking over", extra={"store": str(self._serving.configuration.store)})
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
        if not self._admin.is_open:
            with suppress(AdminError):
                await self._admin.open()
                print(f"admin: http://{self._admin.address}", flush=True)

    async def _follow(self, watch: Watch) -> None:
        """What is served after all is the newest configuration that was right."""
        new = await load(self._serving.configuration)
        if new is None:
            return
        try:
            same_place(self._serving.configuration, new)
        except CannotApply as error:
            log.error("the new configuration cannot be applied: the old one stays: %s", error)
        else:
            self._serving.configuration = new
            watch.follow(new.watched)
            log.info("configuration read", extra={"config": str(new.path)})

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
            new = await load(self._serving.configuration)
            if new is None:
                return
            try:
                changed = await self._serving.apply(new)
            except (ValueError, OSError, StagedoorError) as error:
                log.error("the new configuration cannot be applied: the old one keeps serving: %s", error)
            except Exception:
                log.exception("the new configuration cannot be applied: the old one keeps serving")
            else:
                self._admin.look(new)
                watch.follow(new.watched)
                if changed:
                    log.info("configuration applied", extra={"config": str(new.path)})

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
        serving = self._serving
        log.critical("the store is lost, this gateway ends: %s", why, extra={"store": str(serving.configuration.store)})
        self._lost = True
        if serving.orchestrator is not None:
            serving.orchestrator.engine.give_up()
        if not self._draining:
            self._on_end()

    async def _drain(self) -> int:
        serving = self._serving
        orchestrator = serving.orchestrator
        log.info("draining", extra={"seconds": self._options.drain_s})
        finished = await asyncio.to_thread(serving.plane.drain, self._options.drain_s)
        if not finished:
            log.warning("exchanges were cut off: the time to drain ran out")
        if orchestrator is not None:
            await orchestrator.engine.stop(SETTLE_S)
        serving.issuers.stop()
        await self._admin.close()
        await asyncio.to_thread(serving.registry.close)
        await asyncio.to_thread(serving.plane.stop)
        if orchestrator is not None:
            await orchestrator.retention.stop()
            # Last: whoever waits for the store finds everything else free as well.
            await orchestrator.event_log.close()
        log.info("ended")
        return 0 if finished and not self._lost else 1
