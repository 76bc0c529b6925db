"""Load by wrk: closed loop, keep-alive, one thread, bounded in time."""

from __future__ import annotations

import re
import subprocess
from dataclasses import dataclass

UNIT_MS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}


@dataclass(frozen=True)
class Load:
    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    failed: int

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds


def wrk(
    url: str,
    cores: str,
    connections: int,
    seconds: float,
    headers: dict[str, str] | None = None,
    script: str | None = None,
) -> Load:
    command = ["taskset", "-c", cores, "wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", "--latency"]
    for name, value in (headers or {}).items():
        command += ["-H", f"{name}: {value}"]
    if script:
        command += ["-s", script]
    output = subprocess.run([*command, url], capture_output=True, text=True, check=True, timeout=seconds + 30).stdout
    done = re.search(r"(\d+) requests in ([\d.]+)(us|ms|s|m)", output)
    if done is None:
        raise RuntimeError(f"wrk's output was not understood:\n{output}")
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", output)
    broken = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", output)
    return Load(
        requests=int(done[1]),
        seconds=float(done[2]) * UNIT_MS[done[3]] / 1000,
        p50_ms=_percentile(output, "50%"),
        p99_ms=_percentile(output, "99%"),
        failed=(int(refused[1]) if refused else 0) + (sum(map(int, broken.groups())) if broken else 0),
    )


def _percentile(output: str, name: str) -> float:
    found = re.search(rf"{name}\s+([\d.]+)(us|ms|s|m)", output)
    if found is None:
        raise RuntimeError(f"wrk printed no {name} latency:\n{output}")
    return float(found[1]) * UNIT_MS[found[2]]
