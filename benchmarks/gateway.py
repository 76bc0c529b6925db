"""A gateway whose start is measured, and what it says of itself."""

from __future__ import annotations

import http.client
import json
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.peer import BIN
from benchmarks.process import BOTH_CORES, cpu_s, end
from benchmarks.row import NotRun

LIMIT_S = 240.0


@dataclass(frozen=True)
class Gateway:
    port: int
    pid: int
    admin: str
    started_s: float
    """From the beginning of its process until it serves and goes on with all that has not ended."""
    start_cpu_s: float
    """What that cost, whatever else the machine was doing."""

    def metric(self, name: str) -> int:
        connection = http.client.HTTPConnection(self.admin, timeout=60)
        try:
            connection.request("GET", "/metrics")
            answer = connection.getresponse()
            text = answer.read().decode()
        except OSError as error:
            raise NotRun(f"said nothing of itself: {error}") from error
        finally:
            connection.close()
        found = re.search(rf"^{re.escape(name)} (\d+)$", text, re.MULTILINE)
        if found is None:
            raise NotRun(f"there is no metric {name} in {answer.status} {text[:100]!r}")
        return int(found[1])

    def until(self, name: str, least: int, within_s: float = LIMIT_S) -> None:
        end = time.monotonic() + within_s
        while (found := self.metric(name)) < least:
            if time.monotonic() > end:
                raise NotRun(f"{name} was {found} instead of {least} after {within_s:g} s")
            time.sleep(0.2)


@contextmanager
def gateway(config: Path, port: int, number: int = signal.SIGTERM) -> Iterator[Gateway]:
    """On both cores until the block ends, and then ended by that signal."""
    home = config.parent
    addresses = home / "addresses.json"
    addresses.unlink(missing_ok=True)
    command = ["taskset", "-c", BOTH_CORES, str(BIN / "stagedoor"), "run", str(config), "--addresses", str(addresses)]
    with open(home / "log", "ab") as log:
        begin = time.perf_counter()
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=home)
    try:
        while not addresses.exists():
            if process.poll() is not None or time.perf_counter() - begin > LIMIT_S:
                raise NotRun(f"did not start: {(home / 'log').read_text(errors='replace')[-300:]}")
            time.sleep(0.002)
        took = time.perf_counter() - begin
        spent = cpu_s(process.pid)
        yield Gateway(port, process.pid, json.loads(addresses.read_text())["admin"], took, spent)
    finally:
        end(process, number, 60)
