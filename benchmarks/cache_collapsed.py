"""Many clients that ask at once for what a cache does not have, of a service that takes its time: CPU and fetches."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import count
from pathlib import Path
from statistics import median

from benchmarks.cache import CACHES
from benchmarks.idle import allow_connections
from benchmarks.origin import Origin, numbered, origin
from benchmarks.peer import Door, serving
from benchmarks.process import ran_s
from benchmarks.row import NotRun, Row, against, alternate, middle, spread
from benchmarks.row import table as tabled

CLIENTS = 500
DELAY_S = 0.05


def measure(directory: Path, rounds: int, seconds: float) -> list[Row]:
    allow_connections()
    numbers = count()
    with origin("max-age=3600", DELAY_S) as service, serving(CACHES, directory, service.port) as (rows, doors):

        def trial(row: Row) -> dict[str, float]:
            return crowded(doors[row.name], service, numbers, seconds)

        alternate(rows, rounds, trial, "cpu_us")
    return rows


def crowded(door: Door, service: Origin, numbers: Iterator[int], seconds: float) -> dict[str, float]:
    """Turn after turn all ask for the same, which nobody has asked for before."""
    took_ms, paths = [], []
    with clients(door) as crowd:
        before, end = ran_s(door.pid), time.monotonic() + seconds
        while time.monotonic() < end:
            paths.append(f"/items/{next(numbers)}")
            begin = time.monotonic()
            ask_at_once(crowd, paths[-1])
            took_ms.append((time.monotonic() - begin) * 1e3)
        spent_s = ran_s(door.pid) - before
    return {
        "cpu_us": spent_s / (len(paths) * CLIENTS) * 1e6,
        "fetches": sum(service.calls[path] for path in paths) / len(paths),
        "all_ms": median(took_ms),
    }


@contextmanager
def clients(door: Door) -> Iterator[list[socket.socket]]:
    with ExitStack() as stack:
        yield [
            stack.enter_context(socket.create_connection(("127.0.0.1", door.port), timeout=10)) for _ in range(CLIENTS)
        ]


def ask_at_once(crowd: list[socket.socket], path: str) -> None:
    """NotRun if one of them is not answered, or with something else than what was fetched first."""
    request = f"GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n".encode()
    for client in crowd:
        client.sendall(request)
    for client in crowd:
        answer = b""
        try:
            while not answer.endswith(numbered(1)):
                piece = client.recv(4096)
                if not piece:
                    break
                answer += piece
        except OSError as error:
            raise NotRun(f"a client had no answer: {error}, after {answer[-100:]!r}") from error
        if not answer.startswith(b"HTTP/1.1 200 ") or not answer.endswith(b"\r\n\r\n" + numbered(1)):
            raise NotRun(f"answered {answer[:40]!r} … {answer[-40:]!r}")


def table(rows: list[Row]) -> str:
    columns = [
        middle("CPU per request, µs", "cpu_us", ".1f"),
        against("nginx", "cpu_us"),
        spread("cpu_us", ".1f"),
        middle("fetches for all of them", "fetches", ".2f"),
        middle("all have their answer after, ms", "all_ms", ",.0f"),
    ]
    return tabled(f"{CLIENTS} clients at once, a service of {DELAY_S * 1e3:g} ms", rows, columns)
