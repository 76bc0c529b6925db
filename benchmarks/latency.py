"""Latency at half of nginx's saturation: the same fixed rate for every proxy, counted from when a request was due."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from benchmarks.load import answered, tool, wrk
from benchmarks.peer import BARE, FEATURES, NGINX, Door, serving, small_service
from benchmarks.process import OTHER_CORE
from benchmarks.row import Row, against, alternate, middle
from benchmarks.row import table as tabled
from benchmarks.target import Target, judged
from benchmarks.target import against as ratio

CONNECTIONS = 64
SERVICE = "the service alone"


@dataclass
class Latencies:
    rate: float
    rows: list[Row]


def measure(directory: Path, rounds: int, seconds: float) -> Latencies:
    openloop = tool("openloop", directory)
    with small_service(directory) as upstream, serving(BARE + FEATURES, directory, upstream) as (rows, doors):
        rate = saturation(doors[NGINX.name], seconds) / 2
        addresses = {name: door.address for name, door in doors.items()} | {SERVICE: f"127.0.0.1:{upstream}"}
        rows.append(Row(SERVICE))

        def trial(row: Row) -> dict[str, float]:
            headers = doors[row.name].peer.headers if row.name in doors else {}
            return at_rate(openloop, addresses[row.name], rate, seconds, headers.items())

        alternate(rows, rounds, trial, "p99_us")
    return Latencies(rate, rows)


def saturation(door: Door, seconds: float) -> float:
    """Requests a second of a closed loop: the median of three."""
    return median(
        wrk(f"http://{door.address}/items/42", OTHER_CORE, CONNECTIONS, min(seconds, 3)).per_second for _ in range(3)
    )


def at_rate(
    openloop: str, address: str, rate: float, seconds: float, headers: Iterable[tuple[str, str]] = ()
) -> dict[str, float]:
    lines = [f"{name}: {value}" for name, value in headers]
    command = [openloop, address, "/items/42", f"{rate:.0f}", str(CONNECTIONS), f"{seconds:g}", *lines]
    found = answered(command, seconds)
    return {**found, "per_second": found["requests"] / found["seconds"]}


def table(result: Latencies) -> str:
    columns = [
        middle("p50 µs", "p50_us", ",.0f"),
        middle("p99 µs", "p99_us", ",.0f"),
        against(NGINX.name, "p99_us"),
        middle("p99.9 µs", "p999_us", ",.0f"),
        middle("answered a second", "per_second", ",.0f"),
    ]
    return f"{result.rate:,.0f} requests a second.\n\n" + (
        tabled("proxy", result.rows, columns)
        + judged(result.rows, Target("p99 against nginx", ratio(NGINX.name, "p99_us"), "×", most=1.0))
    )
