"""Bodies of 1 MiB in both directions: what a proxy moves with one second of its CPU."""

from __future__ import annotations

from pathlib import Path

from benchmarks.load import answered, tool
from benchmarks.peer import BARE, NGINX_UNBUFFERED, Door, serving
from benchmarks.process import OTHER_CORE, cpu_s, free_port, rss_mib, running
from benchmarks.row import Column, Row, alternate, middle, spread
from benchmarks.row import table as tabled
from benchmarks.target import Target, judged
from benchmarks.target import middle as figure

BYTES = 1 << 20
CONNECTIONS = 16
DIRECTIONS = {"down": ("responses", 2200), "up": ("requests", 3600)}
"""And the MB a CPU-second that are asked for."""


def measure(directory: Path, rounds: int, seconds: float) -> dict[str, list[Row]]:
    client, upstream = tool("bodies", directory), free_port()
    with (
        running([tool("endpoint", directory), str(upstream)], upstream, OTHER_CORE),
        serving([*BARE, NGINX_UNBUFFERED], directory, upstream) as (started, doors),
    ):

        def turns(direction: str) -> list[Row]:
            rows = [Row(row.name, not_run=row.not_run) for row in started]
            alternate(rows, rounds, lambda row: moved(client, doors[row.name], direction, seconds), "mb_per_cpu_s")
            return rows

        return {direction: turns(direction) for direction in DIRECTIONS}


def moved(client: str, door: Door, direction: str, seconds: float) -> dict[str, float]:
    """MB are 10⁶ bytes of bodies; the CPU is the proxy's own."""
    before = cpu_s(door.pid)
    found = answered([client, door.address, direction, str(BYTES), str(CONNECTIONS), f"{seconds:.0f}"], seconds)
    megabytes = found["requests"] * BYTES / 1e6
    return {
        "mb_per_cpu_s": megabytes / (cpu_s(door.pid) - before),
        "mb_per_s": megabytes / found["seconds"],
        "rss_mib": rss_mib(door.pid),
    }


def table(result: dict[str, list[Row]]) -> str:
    columns = [
        middle("MB a CPU-second", "mb_per_cpu_s", ",.0f"),
        spread("mb_per_cpu_s", ",.0f"),
        middle("MB a second", "mb_per_s", ",.0f"),
        Column("RSS MiB", lambda row, _: f"{row.values('rss_mib')[-1]:.0f}"),
    ]
    return "\n\n".join(
        tabled(f"1 MiB {direction}", rows, columns)
        + judged(rows, Target(f"{direction}, MB a CPU-second", figure("mb_per_cpu_s"), least=least))
        for (direction, least), rows in zip(DIRECTIONS.values(), result.values(), strict=True)
    )
