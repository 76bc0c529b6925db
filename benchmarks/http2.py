"""HTTP/2 downstream: one connection of 64 streams, over TLS and by prior knowledge; HTTP/1.1 to the service."""

from __future__ import annotations

from pathlib import Path

from benchmarks.load import h2load
from benchmarks.peer import BARE, Door, serving, small_service
from benchmarks.row import Row, alternate
from benchmarks.row import table as tabled
from benchmarks.target import Target, against, judged
from benchmarks.trial import COLUMNS, costs

STREAMS = 64
VARIANTS = {"tls": ("https", "over TLS 1.3"), "h2c": ("http", "by prior knowledge, without TLS")}


def measure(directory: Path, rounds: int, seconds: float) -> dict[str, list[Row]]:
    with small_service(directory) as upstream:

        def turns(variant: str, scheme: str) -> list[Row]:
            with serving(BARE, directory, upstream, variant) as (rows, doors):
                alternate(rows, rounds, lambda row: streams(doors[row.name], scheme, seconds, directory), "cpu_us")
            return rows

        return {variant: turns(variant, scheme) for variant, (scheme, _) in VARIANTS.items()}


def streams(door: Door, scheme: str, seconds: float, directory: Path) -> dict[str, float]:
    arguments = ["-c1", f"-m{STREAMS}", f"-D{seconds:g}"]
    url = f"{scheme}://{door.address}/items/42"
    return costs(door, lambda: h2load(url, arguments, seconds, directory / "h2load.log"))


def table(measured: dict[str, list[Row]]) -> str:
    target = Target("CPU per request against nginx", against("nginx", "cpu_us"), "×", most=1.0)
    return "\n\n".join(
        tabled(f"HTTP/2 {VARIANTS[variant][1]}", rows, COLUMNS) + judged(rows, target)
        for variant, rows in measured.items()
    )
