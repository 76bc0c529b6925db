"""What one turn of one proxy costs."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.gateway import Gateway
from benchmarks.load import Load
from benchmarks.peer import Door
from benchmarks.process import cpu_s, rss_mib
from benchmarks.row import Column, against, middle, spread

COLUMNS = [
    middle("CPU per request, µs", "cpu_us", ".1f"),
    against("nginx", "cpu_us"),
    spread("cpu_us", ".1f"),
    middle("requests a second", "per_second", ",.0f"),
    middle("p50 ms", "p50_ms", ".2f"),
    middle("p99 ms", "p99_ms", ".2f"),
    Column("RSS MiB", lambda row, _: f"{row.values('rss_mib')[-1]:.0f}"),
]
"""Of a closed loop."""


def costs(door: Door | Gateway, load: Callable[[], Load]) -> dict[str, float]:
    """CPU is the kernel's count of user and system time of the proxy's processes."""
    before = cpu_s(door.pid)
    done = load()
    return {
        "cpu_us": (cpu_s(door.pid) - before) / done.requests * 1e6,
        "per_second": done.per_second,
        "p50_ms": done.p50_ms,
        "p99_ms": done.p99_ms,
        "rss_mib": rss_mib(door.pid),
    }
