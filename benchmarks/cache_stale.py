"""CPU per stale answer that serves while it is asked for again: the service does not answer until the round is over."""

from __future__ import annotations

import time
import urllib.request
from itertools import count
from pathlib import Path

from benchmarks.cache import CACHES
from benchmarks.load import wrk
from benchmarks.origin import Origin, numbered, origin
from benchmarks.peer import Door, serving
from benchmarks.process import OTHER_CORE
from benchmarks.proxy import CONNECTIONS
from benchmarks.row import Column, NotRun, Row, alternate
from benchmarks.row import table as tabled
from benchmarks.trial import COLUMNS, costs

FRESH_S = 1
FRESH = f"max-age={FRESH_S}, stale-while-revalidate=3600"


def measure(directory: Path, rounds: int, seconds: float) -> list[Row]:
    numbers = count()
    with origin(FRESH) as service, serving(CACHES, directory, service.port) as (rows, doors):

        def trial(row: Row) -> dict[str, float]:
            return stale(doors[row.name], service, f"/items/{next(numbers)}", seconds)

        alternate(rows, rounds, trial, "cpu_us")
    return rows


def stale(door: Door, service: Origin, path: str, seconds: float) -> dict[str, float]:
    """NotRun if an answer was not the stale one, or more than one request asked for a new one."""
    url = f"http://{door.address}{path}"
    asked(url)
    # Whole seconds on both sides: of the age, and of the moment of storing.
    time.sleep(FRESH_S + 1.1)
    service.release.clear()
    try:
        asked(url)
        found = costs(door, lambda: wrk(url, OTHER_CORE, CONNECTIONS, seconds, door.peer.headers))
        asked(url)
    finally:
        service.release.set()
    fetches = service.calls[path]
    if fetches != 2:
        raise NotRun(f"asked the service {fetches} times instead of twice")
    return {**found, "fetches": fetches}


def asked(url: str) -> None:
    with urllib.request.urlopen(url, timeout=10) as answer:
        content = answer.read()
    if content != numbered(1):
        raise NotRun(f"answered {content!r} instead of what it had")


def table(rows: list[Row]) -> str:
    fetches = Column("fetches", lambda row, _: f"{row.middle('fetches'):.0f}")
    return tabled("stale answers while one asks again", rows, [*COLUMNS, fetches])
