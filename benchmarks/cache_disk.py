"""Large responses that a cache has on the disk, again and again: CPU per response and per MiB."""

from __future__ import annotations

import urllib.request
from pathlib import Path

from benchmarks.load import answered, tool
from benchmarks.peer import NGINX, STAGEDOOR, Door, Peer, serving
from benchmarks.process import OTHER_CORE, cpu_s, free_port, rss_mib, running
from benchmarks.row import Column, NotRun, Row, against, alternate, middle, spread
from benchmarks.row import table as tabled

SIZES = {"128 KiB": 128 << 10, "1 MiB": 1 << 20}
CONNECTIONS = 16
PEERS = [
    Peer("nginx", NGINX.config, NGINX.command, variant="disk"),
    Peer("stagedoor", "stagedoor-cache.yaml", STAGEDOOR, variant="disk"),
]


def measure(directory: Path, rounds: int, seconds: float) -> dict[str, list[Row]]:
    client, upstream = tool("bodies", directory), free_port()
    with serving(PEERS, directory, upstream) as (started, doors):
        with running([tool("endpoint", directory), str(upstream)], upstream, OTHER_CORE):
            for door in doors.values():
                for size in SIZES.values():
                    fill(door, size)

        # The service is gone: what is measured can come from nowhere but the store.
        def turns(size: int) -> list[Row]:
            rows = [Row(row.name, not_run=row.not_run) for row in started]
            alternate(rows, rounds, lambda row: hits(client, doors[row.name], size, seconds), "cpu_us")
            return rows

        return {name: turns(size) for name, size in SIZES.items()}


def fill(door: Door, size: int) -> None:
    asked = urllib.request.Request(f"http://{door.address}/bytes/{size}", headers={"Host": "bench"})
    with urllib.request.urlopen(asked, timeout=20) as answer:
        if len(answer.read()) != size:
            raise NotRun(f"{door.peer.name} answered less than {size} bytes")


def hits(client: str, door: Door, size: int, seconds: float) -> dict[str, float]:
    before = cpu_s(door.pid)
    found = answered([client, door.address, "down", str(size), str(CONNECTIONS), f"{seconds:.0f}"], seconds)
    each_us = (cpu_s(door.pid) - before) / found["requests"] * 1e6
    return {
        "cpu_us": each_us,
        "mib_us": each_us / (size / 2**20),
        "per_second": found["requests"] / found["seconds"],
        "rss_mib": rss_mib(door.pid),
    }


def table(result: dict[str, list[Row]]) -> str:
    columns = [
        middle("CPU per response, µs", "cpu_us", ",.1f"),
        against("nginx", "cpu_us"),
        spread("cpu_us", ",.1f"),
        middle("CPU per MiB, µs", "mib_us", ",.1f"),
        middle("responses a second", "per_second", ",.0f"),
        Column("RSS MiB", lambda row, _: f"{row.values('rss_mib')[-1]:.0f}"),
    ]
    return "\n\n".join(tabled(f"{name} from the disk", rows, columns) for name, rows in result.items())
