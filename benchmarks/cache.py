"""CPU per response that a cache has: every proxy pinned to core 0, load and service on core 1, one small response again
and again."""

from __future__ import annotations

from pathlib import Path

from benchmarks.peer import NGINX, STAGEDOOR, Peer, serving, small_service
from benchmarks.proxy import closed_loop
from benchmarks.row import Row, alternate
from benchmarks.row import table as tabled
from benchmarks.target import Target, against, judged
from benchmarks.trial import COLUMNS

CACHES = [
    Peer("nginx", NGINX.config, NGINX.command, variant="cache"),
    Peer("stagedoor", "stagedoor-cache.yaml", STAGEDOOR),
]


def measure(directory: Path, rounds: int, seconds: float) -> list[Row]:
    with small_service(directory) as upstream, serving(CACHES, directory, upstream) as (rows, doors):
        alternate(rows, rounds, lambda row: closed_loop(doors[row.name], seconds), "cpu_us")
    return rows


def table(rows: list[Row]) -> str:
    target = Target("a hit: CPU against nginx's proxy_cache", against("nginx", "cpu_us"), "×", most=0.7)
    return tabled("cache hits", rows, COLUMNS) + judged(rows, target)
