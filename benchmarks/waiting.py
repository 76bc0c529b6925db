"""Executions that wait: what a hundred thousand cost, how long a start takes, and whether timers are on time."""

from __future__ import annotations

import json
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.gateway import Gateway, gateway
from benchmarks.load import script, wrk
from benchmarks.peer import render
from benchmarks.process import BOTH_CORES, cpu_s, free_port, rss_mib
from benchmarks.row import NotRun, Row
from benchmarks.row import middle as column
from benchmarks.row import table as tabled
from benchmarks.target import Target, judged, middle

EXECUTIONS = 100_000
A_SECOND = 1000
"""Timers whose time comes in each second."""
FIRING_S = 10
NEAR_MS = 20_000
"""What those executions wait, which are begun at the rate at which their timers are to fire."""
DAY_MS = 86_400_000
scale = 1.0
"""Of all numbers of executions."""


def measure(directory: Path, rounds: int, seconds: float) -> list[Row]:
    """One round, whatever is asked for: its figures are of tens of thousands of executions."""
    row = Row("stagedoor")
    port = free_port()
    render("wait.yaml", directory, {})
    config = render("stagedoor-waiting.yaml", directory, {"port": port})
    try:
        with gateway(config, port, signal.SIGKILL) as first:
            empty = {"empty_s": first.started_s, "empty_cpu_s": first.start_cpu_s, "empty_mib": rss_mib(first.pid)}
            filled = fill(first, directory, int(EXECUTIONS * scale))
        with gateway(config, port, signal.SIGKILL) as second:
            found = {"start_s": second.started_s, "cpu_s": second.start_cpu_s, "start_mib": rss_mib(second.pid)}
            found["recovered"] = second.metric("stagedoor_executions_recovered")
            timers = fire(second, directory, int(A_SECOND * scale))
        row.rounds.append({**empty, **filled, **found, **timers})
    except NotRun as error:
        row.not_run = str(error)
    return [row]


def fill(door: Gateway, directory: Path, count: int) -> dict[str, float]:
    """So many executions through the front door, each committed before it is answered, until all are parked."""
    body = script(directory / "day.lua", json.dumps({"milliseconds": DAY_MS}), {"Prefer": "respond-async"})
    begun, spent = 0, 0.0
    while begun < count:
        # wrk ends after whole seconds: so there are a few more in the end.
        left = (count - begun) * spent // begun if begun else 1
        load = wrk(
            f"http://127.0.0.1:{door.port}/wait", BOTH_CORES, 64, min(5, max(1, left)), script=body, patience_s=30
        )
        begun += load.requests
        spent += load.seconds
        print(f"begun {begun:,} of {count:,}", flush=True)
    door.until("stagedoor_executions_parked", begun)
    return {"begun": begun, "a_second": begun / spent, "filled_mib": rss_mib(door.pid)}


def fire(door: Gateway, directory: Path, a_second: int) -> dict[str, float]:
    """Executions begun one after another at that rate, so that their timers fire at it, while all others wait."""
    before = {id for (id,) in rows(directory, "SELECT id FROM execution WHERE status = 'completed'")}
    name = "stagedoor_engine_timers"
    most = door.metric(name)
    steady = [sys.executable, "-m", "benchmarks.steady", str(door.port), "/wait", str(a_second), str(FIRING_S)]
    body = json.dumps({"milliseconds": NEAR_MS})
    done = subprocess.run([*steady, body], capture_output=True, text=True, timeout=FIRING_S + 60)
    if done.returncode:
        raise NotRun(f"the executions could not be begun: {done.stderr.strip()[-200:]}")
    count = a_second * FIRING_S
    # All are begun, and the first one's time comes in FIRING_S. Nobody asks the gateway anything meanwhile.
    cpu = cpu_s(door.pid)
    time.sleep(NEAR_MS / 1000 + 1)
    cpu = cpu_s(door.pid) - cpu
    begin = time.monotonic()
    while door.metric(name) > most:
        if time.monotonic() > begin + 60:
            raise NotRun("the timers did not fire")
        time.sleep(0.5)
    fired, late = (sorted(lateness(directory, before, event)) for event in ("TimerFired", "ExecutionCompleted"))
    if len(late) < count:
        raise NotRun(f"{len(late)} of {count} executions went on")
    return {
        "fired": len(fired),
        "p50_ms": fired[len(fired) // 2],
        "p99_ms": fired[len(fired) * 99 // 100],
        "latest_ms": fired[-1],
        "on_p50_ms": late[len(late) // 2],
        "on_p99_ms": late[len(late) * 99 // 100],
        "cpu_us": cpu / len(late) * 1e6,
    }


def lateness(directory: Path, before: set[str], event: str) -> list[float]:
    """Milliseconds from when each was due until that event. An execution ends once its timer's event is committed."""
    query = (
        "SELECT begun.execution, (later.at - begun.at) * 1000 - ? FROM event AS begun "
        "JOIN execution ON execution.id = begun.execution AND execution.status = 'completed' "
        "JOIN event AS later ON later.execution = begun.execution AND later.type = ? "
        "WHERE begun.seq = 0"
    )
    return [late for id, late in rows(directory, query, NEAR_MS, event) if id not in before]


def rows(directory: Path, query: str, *values: float | str) -> list[tuple[str, ...]]:
    connection = sqlite3.connect(f"file:{directory / 'workflow.db'}?mode=ro", uri=True, timeout=30)
    try:
        return connection.execute(query, values).fetchall()
    finally:
        connection.close()


def table(rows: list[Row]) -> str:
    waiting = [
        column("executions", "recovered", ",.0f"),
        column("begun a second", "a_second", ",.0f"),
        column("RSS with all parked, MiB", "filled_mib", ",.0f"),
        column("start, s", "start_s", ".2f"),
        column("its CPU, s", "cpu_s", ".2f"),
        column("RSS after it, MiB", "start_mib", ",.0f"),
        column("start with an empty store, s", "empty_s", ".2f"),
        column("its CPU, s", "empty_cpu_s", ".2f"),
        column("RSS after that, MiB", "empty_mib", ",.0f"),
    ]
    timers = [
        column("timers", "fired", ",.0f"),
        column("fired late: p50 ms", "p50_ms", ".1f"),
        column("p99 ms", "p99_ms", ".1f"),
        column("latest ms", "latest_ms", ".1f"),
        column("went on late: p50 ms", "on_p50_ms", ".1f"),
        column("p99 ms", "on_p99_ms", ".1f"),
        column("CPU an execution, µs", "cpu_us", ",.0f"),
    ]
    started = Target("start", middle("start_s"), " s", most=5)
    on_time = Target("every timer on time", middle("latest_ms"), " ms", most=100)
    first = tabled("waiting executions", rows, waiting) + judged(rows, started)
    second = tabled(f"{A_SECOND:,} timers a second", rows, timers) + judged(rows, on_time)
    return f"{first}\n\n{second}"
