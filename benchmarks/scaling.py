"""Two workers on two cores: what a request costs with one worker, with two in one process, and in two processes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from benchmarks.load import Load, wrk
from benchmarks.peer import BARE, Door, serving, small_service
from benchmarks.process import BOTH_CORES, OTHER_CORE, PROXY_CORE, busiest_share, cpu_s, threads_s
from benchmarks.row import Column, Row, alternate, middle
from benchmarks.row import table as tabled
from benchmarks.target import Target, judged
from benchmarks.target import middle as figure

CONNECTIONS = 64


def measure(directory: Path, rounds: int, seconds: float) -> list[Row]:
    with ExitStack() as stack:
        upstream = stack.enter_context(small_service(directory, BOTH_CORES))

        def started(workers: int, cores: str) -> tuple[list[Row], dict[str, Door]]:
            return stack.enter_context(serving(BARE, directory, upstream, workers=workers, cores=cores))

        rows, one = started(1, PROXY_CORE)
        _, two = started(2, BOTH_CORES)
        _, left = started(1, BOTH_CORES)
        _, right = started(1, BOTH_CORES)
        for row in rows:
            if not all(row.name in doors for doors in (one, two, left, right)):
                row.not_run = row.not_run or "did not start with two workers"

        def trial(row: Row) -> dict[str, float]:
            alone, both = one[row.name], two[row.name]
            apart = [left[row.name], right[row.name]]
            single = shared([alone], lambda: [wrk(url(alone), OTHER_CORE, CONNECTIONS, seconds)])
            before = threads_s(both.pid)
            double = shared([both], lambda: halves([both, both], seconds))
            share = busiest_share(both.pid, before)
            separate = shared(apart, lambda: halves(apart, seconds))
            return {
                "one_us": single[0],
                "two_us": double[0],
                "apart_us": separate[0],
                "share": share,
                "one_per_s": single[1],
                "two_per_s": double[1],
                "apart_per_s": separate[1],
                "against_one": single[0] / (double[0] * share),
                "against_apart": separate[0] / (double[0] * share),
            }

        alternate(rows, rounds, trial, "against_apart")
    return rows


def url(door: Door) -> str:
    return f"http://{door.address}/items/42"


def halves(doors: Sequence[Door], seconds: float) -> list[Load]:
    """Two generators with half of the connections each, both on both cores."""
    with ThreadPoolExecutor() as pool:
        return list(pool.map(lambda door: wrk(url(door), BOTH_CORES, CONNECTIONS // 2, seconds), doors))


def shared(doors: Sequence[Door], load: Callable[[], list[Load]]) -> tuple[float, float]:
    """CPU per request in microseconds over all the doors, and requests a second."""
    before = sum(cpu_s(door.pid) for door in doors)
    loads = load()
    spent = sum(cpu_s(door.pid) for door in doors) - before
    return spent / sum(load.requests for load in loads) * 1e6, sum(load.per_second for load in loads)


def table(rows: list[Row]) -> str:
    columns = [
        middle("one worker, µs a request", "one_us", ".1f"),
        middle("two workers", "two_us", ".1f"),
        middle("two processes", "apart_us", ".1f"),
        Column("busier worker's share", lambda row, _: f"{row.middle('share'):.0%}"),
        middle("two workers against one", "against_one", ".2f"),
        middle("against two processes' one", "against_apart", ".2f"),
        Column(
            "requests a second: one, two, two processes",
            lambda row, _: " / ".join(f"{row.middle(key):,.0f}" for key in ("one_per_s", "two_per_s", "apart_per_s")),
        ),
    ]
    target = Target("two workers against one", figure("against_one"), "×", least=1.8)
    return tabled("proxy", rows, columns) + judged(rows, target)
