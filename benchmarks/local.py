"""Durable workflows that call nothing: what the engine itself costs, beginning and end committed."""

from __future__ import annotations

from pathlib import Path
from statistics import median

from benchmarks.engine import STAGEDOOR, started
from benchmarks.peer import small_service
from benchmarks.process import BOTH_CORES
from benchmarks.row import Column, Row, alternate
from benchmarks.row import middle as column
from benchmarks.row import table as tabled
from benchmarks.target import Target, judged, middle
from benchmarks.workflow import CLIENTS, closed_loop, timed

LOCAL, DIRECT = "stagedoor", "stagedoor, the same requests proxied"


def measure(directory: Path, rounds: int, seconds: float) -> list[Row]:
    rows = [Row(LOCAL), Row(DIRECT)]
    paths = {LOCAL: "/local", DIRECT: "/direct/1"}
    with small_service(directory, BOTH_CORES) as upstream, started(STAGEDOOR, directory, upstream) as engine:

        def trial(row: Row) -> dict[str, float]:
            chosen = engine.at(paths[row.name])
            found = closed_loop(chosen, seconds)
            return found | {"alone_ms": median(timed(chosen.port, chosen.path))}

        alternate(rows, rounds, trial, "per_second")
    return rows


def table(rows: list[Row]) -> str:
    columns = [
        column("a second", "per_second", ",.0f"),
        column("p50 ms", "p50_ms", ".1f"),
        column("p99 ms", "p99_ms", ".1f"),
        column("CPU, µs", "cpu_us", ",.0f"),
        column("kept, bytes", "stored", ",.0f"),
        column("one client: ms", "alone_ms", ".2f"),
        Column("RSS MiB", lambda row, _: f"{row.values('rss_mib')[-1]:.0f}"),
    ]
    target = Target(f"a second, {CLIENTS} clients", middle("per_second"), row=LOCAL, least=10_000)
    return tabled("workflows without calls", rows, columns) + judged(rows, target)
