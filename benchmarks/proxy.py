"""CPU per proxied request, bare and with features: every proxy pinned to core 0, load and service on core 1."""

from __future__ import annotations

from pathlib import Path

from benchmarks.load import wrk
from benchmarks.peer import BARE, FEATURES, Door, relay, serving, small_service
from benchmarks.process import OTHER_CORE
from benchmarks.row import Row, alternate
from benchmarks.row import table as tabled
from benchmarks.target import Target, against, judged
from benchmarks.trial import COLUMNS, costs

CONNECTIONS = 64


def measure(directory: Path, rounds: int, seconds: float) -> list[Row]:
    peers = [relay(directory), *BARE, *FEATURES]
    with small_service(directory) as upstream, serving(peers, directory, upstream) as (rows, doors):

        def trial(row: Row) -> dict[str, float]:
            return closed_loop(doors[row.name], seconds)

        alternate(rows, rounds, trial, "cpu_us")
    return rows


def closed_loop(door: Door, seconds: float, scheme: str = "http") -> dict[str, float]:
    url = f"{scheme}://{door.address}/items/42"
    return costs(door, lambda: wrk(url, OTHER_CORE, CONNECTIONS, seconds, door.peer.headers))


def table(rows: list[Row]) -> str:
    bare = Target("bare: CPU per request against nginx", against("nginx", "cpu_us"), "×", most=0.85)
    what = "with features: CPU per request against bare nginx"
    featured = Target(what, bare.figure, "×", row=FEATURES[0].name, most=1.0)
    return tabled("proxy", rows, COLUMNS) + judged(rows, bare, featured)
