"""Scripts and shell commands of workflows: each a process group of its own, confined, and ended when its time is over.

A process is run at least once: after a crash it is run again with the same ``STAGEDOOR_IDEMPOTENCY_KEY``.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from stagedoor.engine.limits import QUEUE, Share
from stagedoor.engine.slots import Slots
from stagedoor.workflow.commands import RunProcess
from stagedoor.workflow.events import ProcessEnded, ProcessFailed

AT_ONCE = 16
"""Processes that run; more wait for their turn."""
LAST_WORDS_S = 1.0
"""For what a process had printed when it ended."""
PATH = "/usr/local/bin:/usr/bin:/bin"
KEY = "STAGEDOOR_IDEMPOTENCY_KEY"
_CONFINE = str(Path(__file__).with_name("confine.py"))
_SUFFIX = {"python": ".py", "js": ".mjs"}


@dataclass(frozen=True, slots=True)
class Confinement:
    """What may be run, by which workflows, and within what."""

    program: str
    """The shell or the interpreter, absolute."""
    workflows: frozenset[str]
    """``namespace/name`` of those that may."""
    time_s: float
    cpu_s: int
    memory: int
    output: int
    """Bytes of stdout, of stderr, and of each file that is written."""
    processes: int


class Processes:
    """``done`` is called in the loop with what became of a process, unless it was cancelled."""

    def __init__(
        self, clock: Callable[[], float], done: Callable[[tuple[str, str], ProcessEnded | ProcessFailed], None]
    ) -> None:
        self.allowed: Mapping[str, Confinement] = {}
        """By language."""
        self._clock, self._done = clock, done
        self.slots = Slots("processes", "", Share(AT_ONCE, QUEUE), clock)
        self._running: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._stopped = False

    def __len__(self) -> int:
        return len(self._running)

    def run(self, key: tuple[str, str], workflow: str, command: RunProcess, *, always: bool = False) -> None:
        """``key`` is execution and command. Those that have waited since before a restart wait however many do."""
        begin = partial(self._begin, key, workflow, command)
        if self.slots.hold(key):
            begin()
        elif not self.slots.queue(key, begin, always=always):
            detail = f"{self.slots.waiting} processes wait for their turn already"
            self._done(key, ProcessFailed(self._clock(), command.id, 503, "Too many processes wait", detail, False))

    def cancel(self, key: tuple[str, str]) -> None:
        task = self._running.pop(key, None)
        if task is not None:
            task.cancel()
        self.slots.leave(key)

    def stop(self) -> None:
        """End all of them: they are run again at the next start."""
        self._stopped = True
        for key in list(self._running):
            self.cancel(key)

    def _begin(self, key: tuple[str, str], workflow: str, command: RunProcess) -> None:
        if not self._stopped:
            self._running[key] = asyncio.get_running_loop().create_task(self._run(key, workflow, command))

    async def _run(self, key: tuple[str, str], workflow: str, command: RunProcess) -> None:
        confinement = self.allowed.get(command.language)
        event: ProcessEnded | ProcessFailed
        if confinement is None or workflow not in confinement.workflows:
            detail = f"{workflow} may not run {command.language}: engine.run says who may"
            event = ProcessFailed(self._clock(), command.id, 403, "Not allowed", detail, False)
        else:
            event = await self._process(confinement, command)
        if self._running.pop(key, None) is not None:
            self.slots.leave(key)
            self._done(key, event)

    async def _process(self, confinement: Confinement, command: RunProcess) -> ProcessEnded | ProcessFailed:
        with tempfile.TemporaryDirectory(prefix="stagedoor-run-", ignore_cleanup_errors=True) as folder:
            limits = {
                "cpu_s": confinement.cpu_s,
                "memory": confinement.memory,
                "reserves": command.language == "js",
                "output": confinement.output,
                "processes": confinement.processes,
            }
            program = [sys.executable, "-I", "-S", _CONFINE, json.dumps(limits), confinement.program]
            environment = {"PATH": PATH, "HOME": folder, "LANG": "C.UTF-8", **command.environment}
            environment[KEY] = command.idempotency_key
            try:
                process = subprocess.Popen(  # noqa: ASYNC220 - takes a millisecond, and its pipes do not block
                    [*program, *_arguments(command, folder)],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.PIPE,
                    cwd=folder,
                    env=environment,
                    start_new_session=True,
                )
            except (OSError, ValueError) as error:
                return ProcessFailed(self._clock(), command.id, 500, "The process cannot be run", str(error), False)
            try:
                return await self._watch(process, confinement, command)
            finally:
                _end(process)

    async def _watch(
        self, process: subprocess.Popen[bytes], confinement: Confinement, command: RunProcess
    ) -> ProcessEnded | ProcessFailed:
        """Until it ends, prints too much or runs too long; what it began and left behind ends with it."""
        loop, most = asyncio.get_running_loop(), confinement.output
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        prints = [_Output(most), _Output(most)]
        transports: list[asyncio.BaseTransport] = []
        exited: asyncio.Future[None] = loop.create_future()
        watched = os.pidfd_open(process.pid)
        loop.add_reader(watched, partial(_settle, exited))
        try:
            for file, output in zip((process.stdout, process.stderr), prints, strict=True):
                transports.append((await loop.connect_read_pipe(partial(_same, output), file))[0])
            writer, _ = await loop.connect_write_pipe(asyncio.BaseProtocol, process.stdin)
            transports.append(writer)
            writer.write(command.stdin.encode("utf-8", "replace"))
            writer.close()
            waiting = [exited, *(each.over for each in prints)]
            await asyncio.wait(waiting, timeout=confinement.time_s, return_when=asyncio.FIRST_COMPLETED)
            in_time = exited.done()
            _end(process)
            # What it had printed when it ended is still on its way.
            await asyncio.wait([each.ended for each in prints], timeout=LAST_WORDS_S)
        finally:
            loop.remove_reader(watched)
            os.close(watched)
            for transport in transports:
                transport.close()
        if any(each.over.done() for each in prints):
            detail = f"it printed more than {most} bytes"
            return ProcessFailed(self._clock(), command.id, 500, "Too much output", detail, True)
        if not in_time:
            detail = f"it ran longer than {confinement.time_s:g} s"
            return ProcessFailed(self._clock(), command.id, 408, "The process took too long", detail, True)
        out, err = (bytes(each.bytes).decode("utf-8", "replace") for each in prints)
        return ProcessEnded(self._clock(), command.id, process.returncode, out, err)


class _Output(asyncio.Protocol):
    """What is read of one pipe, up to the most."""

    def __init__(self, most: int) -> None:
        loop = asyncio.get_running_loop()
        self.bytes = bytearray()
        self.over: asyncio.Future[None] = loop.create_future()
        self.ended: asyncio.Future[None] = loop.create_future()
        self._most = most

    def data_received(self, data: bytes) -> None:
        if len(self.bytes) + len(data) <= self._most:
            self.bytes += data
        else:
            _settle(self.over)

    def connection_lost(self, exc: Exception | None) -> None:
        _settle(self.ended)


def _settle(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _same(output: _Output) -> _Output:
    return output


def _end(process: subprocess.Popen[bytes]) -> None:
    """The process and its group; does nothing to one that has ended already."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _arguments(command: RunProcess, folder: str) -> list[str]:
    if command.language == "shell":
        return ["-c", command.code, "sh", *command.arguments]
    file = Path(folder, f"script{_SUFFIX[command.language]}")
    file.write_text(command.code, "utf-8")
    return [str(file), *command.arguments]
