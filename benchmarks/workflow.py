"""Durable workflows through the front door: five calls one after another, each outcome committed (synchronous=FULL)."""

from __future__ import annotations

import http.client
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from benchmarks.load import wrk
from benchmarks.peer import render, small_service
from benchmarks.process import BOTH_CORES, cpu_s, free_port, rss_mib, running

HERE = Path(__file__).parent
CLIENTS = 64
ALONE = 300
"""Requests of the measurement with one client."""


@dataclass
class Workflows:
    per_second: list[float] = field(default_factory=list)
    p50_ms: list[float] = field(default_factory=list)
    p99_ms: list[float] = field(default_factory=list)
    cpu_us: list[float] = field(default_factory=list)
    alone_ms: list[float] = field(default_factory=list)
    calls_ms: list[float] = field(default_factory=list)
    rss_mib: float = 0.0


def timed(connection: http.client.HTTPConnection, path: str, times: int) -> list[float]:
    spent = []
    for _ in range(times):
        begin = time.perf_counter()
        connection.request("POST", path, b'{"sku":"chair","quantity":1}', {"Content-Type": "application/json"})
        answer = connection.getresponse()
        answer.read()
        spent.append((time.perf_counter() - begin) * 1000)
        if answer.status >= 300:
            raise RuntimeError(f"{path} answered {answer.status}")
    return spent


def measure(directory: Path, rounds: int, seconds: float) -> Workflows:
    port = free_port()
    result = Workflows()
    with ExitStack() as stack:
        upstream = stack.enter_context(small_service(directory, BOTH_CORES))
        render("five.yaml", directory, {})
        config = render("stagedoor-workflow.yaml", directory, {"port": port, "upstream": upstream})
        command = [str(Path(sys.executable).parent / "stagedoor"), "run", str(config)]
        pid = stack.enter_context(running(command, port, BOTH_CORES, directory))
        alone = http.client.HTTPConnection("127.0.0.1", port)
        timed(alone, "/five", 50)
        for _ in range(rounds):
            before = cpu_s(pid)
            load = wrk(f"http://127.0.0.1:{port}/five", BOTH_CORES, CLIENTS, seconds, script=str(HERE / "five.lua"))
            result.cpu_us.append((cpu_s(pid) - before) / load.requests * 1e6)
            result.per_second.append(load.per_second)
            result.p50_ms.append(load.p50_ms)
            result.p99_ms.append(load.p99_ms)
            print(f"workflows {load.per_second:8.0f}/s  p50 {load.p50_ms:.1f} ms  p99 {load.p99_ms:.1f} ms", flush=True)
            result.alone_ms.append(median(timed(alone, "/five", ALONE)))
            result.calls_ms.append(5 * median(timed(alone, "/direct/1", ALONE)))
            print(f"one client {result.alone_ms[-1]:.2f} ms, its five calls {result.calls_ms[-1]:.2f} ms", flush=True)
        result.rss_mib = rss_mib(pid)
    return result


def table(result: Workflows) -> str:
    alone, calls = median(result.alone_ms), median(result.calls_ms)
    return "\n".join(
        [
            "| five-step durable workflows | |",
            "|---|---|",
            f"| a second, {CLIENTS} clients | {median(result.per_second):,.0f} "
            f"({min(result.per_second):,.0f}–{max(result.per_second):,.0f}) |",
            f"| p50 / p99 with {CLIENTS} clients | {median(result.p50_ms):.1f} / {median(result.p99_ms):.1f} ms |",
            f"| CPU of stagedoor per workflow | {median(result.cpu_us):,.0f} µs |",
            f"| one client: p50 of a workflow | {alone:.2f} ms |",
            f"| one client: the same five calls through the gateway | {calls:.2f} ms |",
            f"| one client: added by durability and orchestration | {alone - calls:.2f} ms |",
            f"| RSS after all rounds | {result.rss_mib:.0f} MiB |",
        ]
    )
