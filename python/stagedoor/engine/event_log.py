"""The event log: append-only, one writer thread, many appends to a commit.

An append is acknowledged in the loop after its commit; what is acknowledged survives a crash of the machine
(``synchronous=FULL``). While the store cannot be written, new executions are refused and the outcomes of running ones
are kept and tried again, so that none is lost and none is fed before it is written. A store that another process has
taken over is never written again.
"""

from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from queue import Empty, SimpleQueue

from stagedoor.engine import backup
from stagedoor.engine.blob import Blob
from stagedoor.engine.history import History
from stagedoor.engine.lock import Lock
from stagedoor.engine.measure import Histogram
from stagedoor.engine.statement import Start, write
from stagedoor.engine.store import (
    SYNCHRONOUS,
    Files,
    StoreError,
    StoreInUse,
    connect,
    explained,
    forget,
    owner,
    reader,
    take,
    write_ahead,
)
from stagedoor.workflow.attribute import Value

BATCH = 512
"""Events of one commit at most."""
RETRY_S = 0.5
"""Between two attempts while the store cannot be written."""
IDLE_S = 1.0
"""How long the writer sleeps at most, so that it notices what becomes of its files also where nothing is written."""
LOOK_S = 0.1
"""Between two looks at them."""
log = logging.getLogger("stagedoor.engine")


@dataclass(slots=True)
class Append:
    """One event on its way into the log."""

    execution: str
    seq: int
    type: str
    """Empty: it is no event, and only what comes with it is written."""
    at: float
    data: str
    done: Callable[[StoreError | None], None] | None = None
    """Called in the loop: with None after the commit, with the reason if the start of an execution is refused."""
    start: Start | None = None
    status: str | None = None
    """The execution's status from this event on."""
    outbox: tuple[str, ...] = ()
    """Events to deliver, as JSON."""
    taken: int | None = None
    """The event of the inbox that it hands over."""
    incidents: int | None = None
    """How many wait for an operator from this event on."""
    attributes: dict[str, Value | None] | None = None
    """What the execution is about from now on; None: it has that attribute no more."""
    migrates: tuple[str, str] | None = None
    """The version and the hash of the definition that it runs by from this event on."""
    told: int | None = None
    """What follows from the execution's events up to this one is told; ``OVER``: nothing more will be."""
    blobs: tuple[Blob, ...] = ()
    """What its ``data`` refers to."""

    @property
    def accompanied(self) -> bool:
        """Whether more than the event itself is written."""
        return bool(
            self.start is not None
            or self.status is not None
            or self.outbox
            or self.taken is not None
            or self.incidents is not None
            or self.attributes
            or self.migrates is not None
            or self.told is not None
            or self.blobs
        )


Task = Callable[[sqlite3.Connection], None]
Work = list[Append] | tuple[Task, "asyncio.Future[None]"] | None


class EventLog:
    """Opens and locks the store; StoreError says what is wrong with it. All methods are for the loop's thread.

    ``lost`` is called in the loop, once, when another process has taken the store over. ``crash_after`` ends the
    process, as a crash would, once that many events are committed: for tests of recovery.
    """

    def __init__(
        self,
        path: Path,
        loop: asyncio.AbstractEventLoop,
        *,
        synchronous: str = SYNCHRONOUS,
        crash_after: int | None = None,
        lost: Callable[[str], None] | None = None,
    ) -> None:
        self.path = path
        self._lock = Lock(path)
        try:
            self._connection = connect(path, synchronous)
        except StoreError:
            self._lock.release()
            raise
        try:
            self.epoch = take(self._connection)
            self._files = Files(path)
        except (StoreError, OSError):
            self._connection.close()
            self._lock.release()
            raise
        self.history = History(reader(path), loop)
        self.recall = History(reader(path), loop)
        """For the loop's own thread, which waits for no long question to ``history``."""
        self.after: Callable[[], None] | None = None
        """Called in the loop once what was committed together is acknowledged."""
        self.owed: Callable[[], None] | None = None
        """Called in the loop after each commit by which somebody is owed an event."""
        self.broken: str | None = None
        """Why the store cannot be written at present."""
        self.events = 0
        self.batch_sizes = Histogram((1, 2, 4, 8, 16, 32, 64, 128, 256, 512))
        self.commit_seconds = Histogram((0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 2))
        self._loop = loop
        self._crash_after = crash_after
        self._tell_lost = lost
        self._lost = False
        self._barred: str | None = None
        """Why nothing may be written, although SQLite would."""
        self._next_look = 0.0
        self._queue: SimpleQueue[Work] = SimpleQueue()
        self._appended = 0
        self._refused = 0
        self._thread = threading.Thread(target=self._run, name="event-log", daemon=True)
        self._thread.start()

    @property
    def waiting(self) -> int:
        """Appends that are not committed yet."""
        return self._appended - self.events - self._refused

    @property
    def wal_bytes(self) -> int:
        """Of SQLite's write-ahead log."""
        try:
            return write_ahead(self.path).stat().st_size
        except OSError:
            return 0

    def append(self, appends: list[Append]) -> None:
        """In this order, as one commit or several, together with what others append meanwhile."""
        self._appended += len(appends)
        self._queue.put(appends)

    async def define(self, definitions: list[tuple[str, str, str, str]]) -> None:
        """Keep documents (hash, workflow, version, JSON) before anything runs by them. StoreError if it cannot be."""

        def task(connection: sqlite3.Connection) -> None:
            connection.executemany("INSERT OR IGNORE INTO definition VALUES (?, ?, ?, ?)", definitions)

        await self.run(task)

    async def run(self, task: Task) -> None:
        """Do something else with the store, in the writer's thread. StoreError if it cannot be."""
        done: asyncio.Future[None] = self._loop.create_future()
        self._queue.put((task, done))
        await done

    def _acknowledge(self, appends: list[Append], error: StoreError | None) -> None:
        for append in appends:
            if append.done is not None:
                append.done(error)
        if self.after is not None:
            self.after()
        if error is None and self.owed is not None and any(append.outbox for append in appends):
            self.owed()

    async def close(self) -> None:
        """Write what was appended, once more if it must be, and let go of the store."""
        self._queue.put(None)
        await self._loop.run_in_executor(None, self._thread.join)
        self.history.close()
        self.recall.close()
        self._connection.close()
        self._lock.release()

    # From here on: the writer's thread.

    def _run(self) -> None:
        held: list[Append] = []
        open_ = True
        while open_:
            appends, tasks, open_ = self._collect()
            self._look()
            self._perform(tasks)
            held = self._commit(held + appends)
            if not open_ and held:
                held = self._commit(held)
        if not self._lost and self._files.moved() is not None:
            self._save()

    def _collect(self) -> tuple[list[Append], list[tuple[Task, asyncio.Future[None]]], bool]:
        """All that waits; at least one thing, unless it is time to try a broken store again."""
        appends: list[Append] = []
        tasks: list[tuple[Task, asyncio.Future[None]]] = []
        try:
            work = self._queue.get(timeout=RETRY_S if self.broken else IDLE_S)
            while True:
                if work is None:
                    return appends, tasks, False
                if isinstance(work, list):
                    appends += work
                else:
                    tasks.append(work)
                if len(appends) >= BATCH:
                    break
                work = self._queue.get_nowait()
        except Empty:
            pass
        return appends, tasks, True

    def _perform(self, tasks: list[tuple[Task, asyncio.Future[None]]]) -> None:
        for task, done in tasks:
            failure: Exception | None = None
            try:
                self._transact(task)
            except sqlite3.Error as error:
                failure = StoreError(f"the store cannot be written: {explained(error)}")
            except Exception as error:  # noqa: BLE001 - whoever asked for it is told; the writer goes on
                failure = error
            self._loop.call_soon_threadsafe(_settle, done, failure)

    def _transact(self, task: Task) -> None:
        """All that it does, or nothing."""
        if self._barred is not None:
            raise StoreError(f"the store cannot be written: {self._barred}")
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            if owner(self._connection) != self.epoch:
                self._lose()
                raise StoreError(f"the store cannot be written: {self._barred}")
            task(self._connection)
            if self._connection.in_transaction:
                self._connection.execute("COMMIT")
        finally:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")

    def _commit(self, appends: list[Append]) -> list[Append]:
        """What could not be written and is still owed."""
        if not appends and self.broken:
            self._probe()
        for first in range(0, len(appends), BATCH):
            batch = appends[first : first + BATCH]
            if self._barred is not None:
                return self._hold(appends[first:], self._barred)
            if self._crash_after is not None and self.events + len(batch) >= self._crash_after:
                write(self._connection, batch[: self._crash_after - self.events], self.epoch)
                os._exit(137)
            begin = time.perf_counter()
            try:
                write(self._connection, batch, self.epoch)
            except sqlite3.Error as error:
                if isinstance(error, sqlite3.IntegrityError) and self._taken():
                    self._lose()
                # The rest must wait as well: events of one execution are acknowledged in their order.
                return self._hold(appends[first:], self._barred or explained(error))
            self._mend()
            self.commit_seconds.observe(time.perf_counter() - begin)
            self.batch_sizes.observe(len(batch))
            self.events += len(batch)
            self._loop.call_soon_threadsafe(self._acknowledge, batch, None)
        return []

    def _hold(self, appends: list[Append], reason: str) -> list[Append]:
        """Refuse what is only about to start, with all that came of it: nobody has been promised anything yet. What
        another execution runs is promised to that."""
        self._break(reason)
        refused = [append for append in appends if append.start is not None and not append.start.child]
        gone = {append.execution for append in refused}
        kept = [append for append in appends if append.execution not in gone]
        self._refused += len(appends) - len(kept)
        error = StoreError(f"the store cannot be written: {reason}")
        self._loop.call_soon_threadsafe(self._acknowledge, refused, error)
        return kept

    def _probe(self) -> None:
        """Whether it can be written again."""
        if self._barred is not None:
            self._break(self._barred)
            return
        try:
            found = self._connection.execute("UPDATE owner SET epoch = epoch WHERE epoch = ?", (self.epoch,))
        except sqlite3.Error as error:
            self._break(explained(error))
        else:
            if found.rowcount == 0:
                self._lose()
            else:
                self._mend()

    def _break(self, reason: str) -> None:
        forget(self._connection)
        if self.broken != reason:
            log.error("the store cannot be written: %s", reason, extra={"store": str(self.path)})
        self.broken = reason

    def _mend(self) -> None:
        if self.broken is not None:
            log.info("the store is written again", extra={"store": str(self.path)})
            self.broken = None

    # Whose the store is, and where.

    def _look(self) -> None:
        """What was committed cannot be taken back by whoever moves a file. But it must not go on for long: all that is
        written from then on is in nobody's reach."""
        now = time.monotonic()
        if self._lost or (now < self._next_look and self.broken is None):
            return
        self._next_look = now + LOOK_S
        try:
            if not self._lock.held():
                self._lock.renew()
                log.warning(
                    "the lock file of the store was removed: there is a new one", extra={"store": str(self.path)}
                )
        except StoreInUse:
            self._lose()
            return
        except StoreError as error:
            self._barred = str(error)
            return
        self._barred = self._files.moved()
        if self._barred is not None:
            self._break(self._barred)

    def _taken(self) -> bool:
        try:
            return owner(self._connection) != self.epoch
        except sqlite3.Error:
            return False

    def _lose(self) -> None:
        self._barred = "another process has taken it over"
        self._break(self._barred)
        if not self._lost:
            self._lost = True
            if self._tell_lost is not None:
                self._loop.call_soon_threadsafe(self._tell_lost, self._barred)

    def _save(self) -> None:
        """At the end: keep what is in files that have no name any more."""
        path = self.path
        try:
            if self._files.in_place:
                # The log alone was removed. Nothing has been taken from it that was not put into the file.
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                return
            self._files.clear()
            if path.exists():
                path = path.with_name(f"{path.name}.saved-{self.epoch}")
            backup.copy(self._connection, path)
        except (StoreError, sqlite3.Error) as error:
            log.critical("what was in the store cannot be saved: %s", error, extra={"store": str(path)})
        else:
            log.warning("what was in the store is saved", extra={"store": str(path)})


def _settle(done: asyncio.Future[None], failure: Exception | None) -> None:
    if done.done():
        return
    if failure is None:
        done.set_result(None)
    else:
        done.set_exception(failure)
