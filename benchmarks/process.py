"""Start a server pinned to cores, and read what it costs from the kernel's own counters."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from benchmarks.row import NotRun

PROXY_CORE, OTHER_CORE = "0", "1"
BOTH_CORES = "0,1"
TICK_S = 1 / os.sysconf("SC_CLK_TCK")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def family(pid: int) -> list[int]:
    """The process and all that it started: nginx works in a child of its master. NotRun if it has ended."""
    if (
        not Path(f"/proc/{pid}/stat").exists()
        or Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    ):
        raise NotRun("ended during the measurement")
    found = [pid]
    for parent in found:
        for task in Path(f"/proc/{parent}/task").glob("*/children"):
            found += [int(child) for child in task.read_text().split()]
    return found


def cpu_s(pid: int) -> float:
    """User and system time of a process and its children, in seconds (resolution: one clock tick)."""
    total = 0
    for member in family(pid):
        fields = Path(f"/proc/{member}/stat").read_text().rpartition(")")[2].split()
        total += int(fields[11]) + int(fields[12])
    return total * TICK_S


def ran_s(pid: int) -> float:
    """What ``cpu_s`` tells, of the threads that live, by the scheduler's own clock: for loads that cost a few ticks."""
    total = 0
    for member in family(pid):
        for task in Path(f"/proc/{member}/task").iterdir():
            total += int((task / "schedstat").read_text().split()[0])
    return total / 1e9


def busiest_share(pid: int, before: dict[int, float]) -> float:
    """Of the time spent since ``before`` by all threads, what the busiest one spent."""
    spent = [now - before.get(thread, 0.0) for thread, now in threads_s(pid).items()]
    return max(spent) / sum(spent)


def threads_s(pid: int) -> dict[int, float]:
    """User and system time of each thread of a process and its children, in seconds."""
    found = {}
    for member in family(pid):
        for task in Path(f"/proc/{member}/task").iterdir():
            fields = (task / "stat").read_text().rpartition(")")[2].split()
            found[int(task.name)] = (int(fields[11]) + int(fields[12])) * TICK_S
    return found


def anonymous_kib(pid: int) -> int:
    """Memory that the process and its children hold of their own: no file's pages, none of the kernel's."""
    total = 0
    for member in family(pid):
        for line in Path(f"/proc/{member}/smaps_rollup").read_text().splitlines():
            if line.startswith(("Pss_Anon:", "Pss_Shmem:")):
                total += int(line.split()[1])
    return total


def rss_mib(pid: int) -> float:
    pages = sum(int(Path(f"/proc/{member}/statm").read_text().split()[1]) for member in family(pid))
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def wait_for_port(port: int, process: subprocess.Popen[bytes], limit_s: float = 20) -> None:
    end = time.monotonic() + limit_s
    while time.monotonic() < end:
        if process.poll() is not None:
            raise NotRun(f"ended with {process.returncode} before it listened")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            time.sleep(0.05)
    raise NotRun(f"did not listen within {limit_s:g} s")


@contextmanager
def running(command: list[str], port: int, cores: str, cwd: Path | None = None) -> Iterator[int]:
    """Run a server on the given cores until the block ends; yields its process id. NotRun if it does not listen."""
    log = cwd / "peer.log" if cwd else Path(os.devnull)
    with open(log, "ab") as output:
        try:
            process = subprocess.Popen(["taskset", "-c", cores, *command], stdout=output, stderr=output, cwd=cwd)
        except FileNotFoundError as error:
            raise NotRun(f"{error.filename} is not installed") from error
    try:
        try:
            wait_for_port(port, process)
        except NotRun as error:
            raise NotRun(f"{error}{_last_words(log)}") from error
        yield process.pid
    finally:
        # strace lets go of whom it has started, and ends alone.
        started: list[int] = []
        with suppress(NotRun):
            started = family(process.pid)[1:]
        end(process)
        for pid in started:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM)


def end(process: subprocess.Popen[bytes], number: int = signal.SIGTERM, within_s: float = 15) -> None:
    """By that signal, or else by force."""
    process.send_signal(number)
    try:
        process.wait(within_s)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _last_words(log: Path) -> str:
    """What a server that did not start said of it: the first line of its log that speaks of an error, or the last."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    told = next((line for line in lines if "error" in line.lower()), lines[-1] if lines else "")
    return f": {told[:200]}" if told else ""
