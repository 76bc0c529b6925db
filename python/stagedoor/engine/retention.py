"""How long executions stay in the store that have ended, and how they leave it: a little at a time, between commits."""

from __future__ import annotations

import asyncio
import json
import logging
import sqlite3
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

from stagedoor.engine import purge
from stagedoor.engine.definitions import Definitions
from stagedoor.engine.event_log import EventLog
from stagedoor.engine.execution import STATUS
from stagedoor.engine.history import History
from stagedoor.engine.measure import render
from stagedoor.engine.purge import BEGIN, Ended, Position
from stagedoor.engine.schedules import KEEP_S, SINCE
from stagedoor.engine.store import StoreError, reader

ROUND_S = 30.0
"""Between two looks at what has become too old."""
WHOLE_S = 6 * 3600.0
"""Between two looks at all that has ended: what was kept longer than other executions is found then."""
REST = 2
"""A step of removing is followed by a rest so many times as long: others have the writer for two thirds of the time."""
LEAST_REST_S = 0.005
FORWARD_S = 60.0
"""A clock that is put forward by more may be wrong."""
HELD_S = 3600.0
"""So long nothing is taken for too old then."""
FOR_GOOD_S = 36_500 * 86_400.0

Json = Any
Rules = Mapping[str | None, Mapping[str, float]]
"""Workflow → status → seconds; None stands for all others."""
log = logging.getLogger("stagedoor.engine")


class Retention:
    """All methods are for the loop's thread. What is looked for is read by a connection and a thread of its own."""

    def __init__(self, event_log: EventLog, definitions: Definitions, clock: Callable[[], float]) -> None:
        self.purged = 0
        """Executions that have left the store."""
        self.bytes = 0
        """Of the file, when it was last looked at."""
        self.free_bytes = 0
        self._log, self._definitions, self._clock = event_log, definitions, clock
        self._rules: Rules = {None: dict.fromkeys(STATUS.values(), FOR_GOOD_S)}
        self._position: Position = BEGIN
        self._whole = 0.0
        self._offset = clock() - time.monotonic()
        """Of the clock, when it was last looked at."""
        self._held = 0.0
        """Until when nothing is too old, by the clock that nobody sets."""
        self._asked: list[Callable[[Ended], bool]] = []
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._history = History(reader(event_log.path), asyncio.get_running_loop())

    def use(self, rules: Rules) -> None:
        """From now on these."""
        if rules != self._rules:
            self._rules, self._position, self._whole = rules, BEGIN, 0.0
            self._wake.set()

    def begin(self) -> None:
        """Once executions are read back."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """What is not done yet is done at the next start."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        await asyncio.get_running_loop().run_in_executor(None, self._history.close)

    async def purge(self, workflow: str | None, status: str | None, before: float, *, dry_run: bool, by: str) -> int:
        """How many executions ended before that (seconds since the epoch), of that workflow and with that status; they
        leave the store soon if it is no dry run. StoreError if it cannot be read."""

        def meant(each: Ended) -> bool:
            return (
                each.ended < before
                and (workflow is None or each.workflow == workflow)
                and (status is None or each.status == status)
            )

        count = await self._history.query(partial(purge.count, before=before, workflow=workflow, status=status))
        if not dry_run:
            where = {"workflow": workflow, "status": status, "before": before, "executions": count, "by": by}
            log.info("purge asked for", extra={name: value for name, value in where.items() if value is not None})
            self._asked.append(meant)
            self._wake.set()
        return count

    def metrics(self) -> str:
        """Prometheus text format."""
        return "".join(
            [
                render("stagedoor_executions_purged_total", "counter", "Executions that left the store.", self.purged),
                render("stagedoor_store_bytes", "gauge", "Size of the store's file.", self.bytes),
                render("stagedoor_store_free_bytes", "gauge", "What of it is free.", self.free_bytes),
                render("stagedoor_store_wal_bytes", "gauge", "Size of its write-ahead log.", self._log.wal_bytes),
            ]
        )

    # The rounds.

    async def _run(self) -> None:
        while True:
            try:
                await self._round()
            except StoreError as error:
                log.warning("what is too old stays for now: %s", error)
            except Exception:
                log.exception("what is too old cannot be removed")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), ROUND_S)

    async def _round(self) -> None:
        self._wake.clear()
        before = self.purged
        # What a crash has left.
        await self._steps(purge.sweep)
        now = self._clock()
        while self._asked:
            meant = self._asked[0]
            async for page in self._ended(now, BEGIN):
                await self._remove([each.id for each in page if meant(each)])
            self._asked.pop(0)
        if not self._doubted(now):
            await self._by_rules(now)
            await self._forget_ticks(now)
        if self.purged > before or self._whole == now:
            await self._forget_definitions()
        if self.purged > before:
            log.info("executions purged", extra={"executions": self.purged - before})
        await self._steps(purge.give_back)
        pages, free, size = await self._history.query(purge.room)
        self.bytes, self.free_bytes = pages * size, free * size

    def _doubted(self, now: float) -> bool:
        """Whether the clock was put forward a while ago: it may be put back, and what was removed would be gone."""
        monotonic = time.monotonic()
        offset = now - monotonic
        if offset - self._offset > FORWARD_S:
            log.warning(
                "the clock was put forward: nothing is taken for too old for a while",
                extra={"seconds": round(offset - self._offset)},
            )
            self._held = monotonic + HELD_S
        self._offset = offset
        return monotonic < self._held

    async def _by_rules(self, now: float) -> None:
        if now - self._whole > WHOLE_S:
            self._whole, self._position = now, BEGIN
        rules, least = self._rules, min(period for kept in self._rules.values() for period in kept.values())

        def old(each: Ended) -> bool:
            return each.ended < now - rules.get(each.workflow, rules[None])[each.status]

        async for page in self._ended(now - least, self._position):
            await self._remove([each.id for each in page if old(each)])
            if rules is not self._rules:
                return
            self._position = (page[-1].ended, page[-1].id)

    async def _remove(self, ids: list[str]) -> None:
        for first in range(0, len(ids), purge.EXECUTIONS):
            some, gone = ids[first : first + purge.EXECUTIONS], 0

            def step(connection: sqlite3.Connection, some: list[str] = some) -> None:
                nonlocal gone
                gone = purge.remove(connection, some)

            await self._step(step)
            self.purged += gone
            await self._steps(purge.sweep)

    async def _forget_ticks(self, now: float) -> None:
        while ticks := await self._history.query(partial(purge.old_ticks, but=SINCE, before=now - KEEP_S)):
            await self._step(partial(purge.remove_ticks, ticks=ticks))

    async def _forget_definitions(self) -> None:
        """Of executions that are no more, unless another document runs them by their version."""
        found = await self._history.query(purge.unreferenced)
        used = self._definitions.known
        leaving = {hash: (workflow, version) for hash, workflow, version, _ in found if hash not in used}
        if not leaving:
            return
        referred: set[tuple[str, str]] = set()
        for hash, text in await self._history.query(purge.documents):
            if hash not in leaving:
                referred.update(_references(json.loads(text)))
        texts = {hash: text for hash, _, _, text in found}
        while kept := [hash for hash, version in leaving.items() if version in referred]:
            for hash in kept:
                del leaving[hash]
                referred.update(_references(json.loads(texts[hash])))
        with self._definitions.leaving(leaving) as hashes:
            while hashes:
                some = [hashes.pop() for _ in range(min(len(hashes), purge.EXECUTIONS))]
                await self._step(partial(purge.remove_definitions, hashes=some))

    # Steps of the writer, and looks.

    async def _steps(self, step: Callable[[sqlite3.Connection], bool]) -> None:
        """Again and again, as long as it says that there is more."""
        more = True

        def one(connection: sqlite3.Connection) -> None:
            nonlocal more
            more = step(connection)

        while more:
            await self._step(one)

    async def _step(self, step: Callable[[sqlite3.Connection], None]) -> None:
        loop = asyncio.get_running_loop()
        begin = loop.time()
        await self._log.run(step)
        await asyncio.sleep(max(LEAST_REST_S, REST * (loop.time() - begin)))

    async def _ended(self, before: float, after: Position) -> AsyncIterator[list[Ended]]:
        """Pages of what has ended, none of them empty."""
        while page := await self._history.query(partial(purge.ended, before=before, after=after)):
            yield page
            after = (page[-1].ended, page[-1].id)


def _references(value: Json) -> Iterator[tuple[str, str]]:
    """Workflows and versions that a document runs: whatever looks as if."""
    if isinstance(value, list):
        for each in value:
            yield from _references(each)
    elif isinstance(value, dict):
        run = value.get("workflow")
        if isinstance(run, dict) and {"namespace", "name", "version"} <= set(run):
            yield f"{run['namespace']}/{run['name']}", str(run["version"])
        for each in value.values():
            yield from _references(each)
