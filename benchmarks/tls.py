"""TLS 1.3 downstream: requests on connections that are kept, and a new connection with a whole handshake for each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from benchmarks.load import Load, h2load
from benchmarks.peer import BARE, Door, serving, small_service
from benchmarks.proxy import closed_loop
from benchmarks.row import Column, Row, against, alternate, middle, spread
from benchmarks.row import table as tabled
from benchmarks.target import Target, judged
from benchmarks.target import against as ratio
from benchmarks.trial import COLUMNS, costs

PER_SECOND = 500
"""New connections a second. All proxies get the same rate: the load's own core is full long before theirs."""
EVERY_MS = 10


@dataclass
class Secured:
    kept: list[Row]
    fresh: list[Row]


def measure(directory: Path, rounds: int, seconds: float) -> Secured:
    with small_service(directory) as upstream, serving(BARE, directory, upstream, "tls") as (rows, doors):
        fresh = [Row(row.name, not_run=row.not_run) for row in rows]
        alternate(rows, rounds, lambda row: closed_loop(doors[row.name], seconds, "https"), "cpu_us")
        alternate(
            fresh,
            rounds,
            lambda row: costs(doors[row.name], lambda: handshakes(doors[row.name], seconds, directory)),
            "cpu_us",
        )
    return Secured(rows, fresh)


def handshakes(door: Door, seconds: float, directory: Path) -> Load:
    """A request on each connection, because only its answer proves that the proxy has finished the handshake."""
    count = int(PER_SECOND * seconds)
    rate = ["-r", str(PER_SECOND * EVERY_MS // 1000), f"--rate-period={EVERY_MS}ms"]
    arguments = ["--h1", f"-n{count}", f"-c{count}", *rate]
    return h2load(f"https://{door.address}/items/42", arguments, seconds, directory / "h2load.log")


def table(measured: Secured) -> str:
    columns = [
        middle("CPU per connection, µs", "cpu_us", ".0f"),
        against("nginx", "cpu_us"),
        spread("cpu_us", ".0f"),
        Column("a second that fill one core", lambda row, _: f"{1e6 / row.middle('cpu_us'):,.0f}"),
        middle("measured at, a second", "per_second", ",.0f"),
    ]
    kept = Target("CPU per request against nginx", ratio("nginx", "cpu_us"), "×", most=1.0)
    fresh = Target("CPU per connection against nginx", ratio("nginx", "cpu_us"), "×", most=1.0)
    return "\n\n".join(
        [
            tabled("TLS 1.3, kept connections", measured.kept, COLUMNS) + judged(measured.kept, kept),
            tabled("TLS 1.3, new connections", measured.fresh, columns) + judged(measured.fresh, fresh),
        ]
    )
