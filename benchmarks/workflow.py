"""Durable workflows through the front door: five calls in sequence, each outcome committed; engines take turns."""

from __future__ import annotations

import http.client
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from benchmarks.engine import BODY, COMPARED, DBOS, HEADERS, RESTATE_PYTHON, STAGEDOOR, Running, started
from benchmarks.load import Load, wrk
from benchmarks.peer import small_service
from benchmarks.process import BOTH_CORES
from benchmarks.row import Column, NotRun, Row, alternate
from benchmarks.row import middle as column
from benchmarks.row import table as tabled
from benchmarks.target import Target, against, judged, middle

HERE = Path(__file__).parent
CLIENTS = 64
STEPS = 5
PATIENCE_S = 30
ALONE_S = 1.0
"""Of each measurement with one client."""


def measure(directory: Path, rounds: int, seconds: float) -> list[Row]:
    rows = [Row(engine.name) for engine in COMPARED]
    with small_service(directory, BOTH_CORES) as upstream:
        flushes = [flushed(row, directory, upstream, seconds) for row in rows]
        with ExitStack() as stack:
            serving = {}
            for engine, row in zip(COMPARED, rows, strict=True):
                try:
                    serving[row.name] = stack.enter_context(started(engine, directory, upstream))
                except NotRun as error:
                    row.not_run = str(error)
                    print(f"{row.name:40} not run: {error}", flush=True)

            def trial(row: Row) -> Mapping[str, float]:
                counted = flushes[rows.index(row)]
                return (
                    closed_loop(serving[row.name], max(seconds, least(row)))
                    | alone(serving[row.name], upstream)
                    | counted
                )

            alternate(rows, rounds, trial, "per_second")
    return rows


def closed_loop(engine: Running, seconds: float) -> dict[str, float]:
    """What one execution costs while 64 clients wait for theirs."""
    cpu, written, stored = engine.cpu_s(), engine.written(), engine.stored()
    load = posted(engine.url, seconds)
    return {
        "per_second": load.per_second,
        "p50_ms": load.p50_ms,
        "p99_ms": load.p99_ms,
        "cpu_us": (engine.cpu_s() - cpu) / load.requests * 1e6,
        "written": (engine.written() - written) / load.requests,
        "stored": (engine.stored() - stored) / load.requests,
        "rss_mib": engine.rss_mib(),
    }


def posted(url: str, seconds: float) -> Load:
    """By 64 clients, each of which waits for its answer."""
    return wrk(url, BOTH_CORES, CLIENTS, seconds, script=str(HERE / "five.lua"), patience_s=PATIENCE_S)


def alone(engine: Running, upstream: int) -> dict[str, float]:
    """One client: an execution, and its calls sent to the service without anything between."""
    execution = median(timed(engine.port, engine.path))
    calls = STEPS * median(timed(upstream, "/1"))
    return {"alone_ms": execution, "added_ms": execution - calls}


def timed(port: int, path: str) -> list[float]:
    """Milliseconds of requests one after another over one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    spent = []
    end = time.perf_counter() + ALONE_S
    try:
        while not spent or time.perf_counter() < end:
            begin = time.perf_counter()
            connection.request("POST", path, BODY, HEADERS)
            answer = connection.getresponse()
            answer.read()
            spent.append((time.perf_counter() - begin) * 1000)
            if answer.status >= 300:
                raise NotRun(f"{path} answered {answer.status}")
    except OSError as error:
        raise NotRun(f"{path} was not answered: {error}") from error
    finally:
        connection.close()
    return spent


def least(row: Row) -> float:
    return next(engine.least_s for engine in COMPARED if engine.name == row.name)


def flushed(row: Row, directory: Path, upstream: int, seconds: float) -> dict[str, float]:
    """Flushes to the disk for one execution, counted by strace in a run of its own, which costs no other figure."""
    engine = next(engine for engine in COMPARED if engine.name == row.name)
    try:
        with started(engine, directory, upstream, traced=True) as running:
            before = running.flushes()
            executions = len(timed(running.port, running.path))
            between = running.flushes()
            load = posted(running.url, max(seconds, engine.least_s))
            return {
                "flushes_alone": (between - before) / executions,
                "flushes": (running.flushes() - between) / load.requests,
            }
    except NotRun as error:
        print(f"{row.name:40} flushes not counted: {error}", flush=True)
        return {"flushes_alone": float("nan"), "flushes": float("nan")}


def ratio(row: Row, rows: list[Row]) -> str:
    other = next(other for other in rows if other.name == STAGEDOOR.name)
    return f"{other.against(row, 'per_second'):.1f}×" if other.rounds else "–"


COLUMNS = [
    column("a second", "per_second", ",.0f"),
    Column("stagedoor does", lambda row, rows: ratio(row, list(rows))),
    column("p50 ms", "p50_ms", ".1f"),
    column("p99 ms", "p99_ms", ".1f"),
    column("CPU, µs", "cpu_us", ",.0f"),
    Column("CPU a step, µs", lambda row, _: f"{row.middle('cpu_us') / STEPS:,.0f}"),
    Column("kept a step, bytes", lambda row, _: f"{row.middle('stored') / STEPS:,.0f}"),
    Column("written to the disk, KiB", lambda row, _: f"{row.middle('written') / 1024:,.1f}"),
    column("flushes", "flushes", ".2f"),
    column("flushes, one client", "flushes_alone", ".1f"),
    column("one client: ms", "alone_ms", ".2f"),
    column("added to the calls, ms", "added_ms", ".2f"),
    Column("RSS MiB", lambda row, _: f"{row.values('rss_mib')[-1]:.0f}"),
]


def table(rows: list[Row]) -> str:
    return tabled("five-step workflows", rows, COLUMNS) + judged(
        rows,
        Target(f"a second, {CLIENTS} clients", middle("per_second"), least=2500),
        Target("as many as Restate with its Python SDK", against(RESTATE_PYTHON.name, "per_second"), "×", least=10),
        Target("as many as DBOS on SQLite", against(DBOS.name, "per_second"), "×", least=40),
        Target("one client: added to the calls", middle("added_ms"), " ms", most=4),
    )
