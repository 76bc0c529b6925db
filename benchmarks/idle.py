"""What an idle connection costs: the proxy's own memory with and without 10,000 that have done one request each."""

from __future__ import annotations

import resource
import socket
from contextlib import ExitStack
from pathlib import Path

from benchmarks.load import wrk
from benchmarks.peer import BARE, Door, alone, small_service
from benchmarks.process import OTHER_CORE, anonymous_kib
from benchmarks.row import NotRun, Row, alternate, middle, spread
from benchmarks.row import table as tabled
from benchmarks.target import Target, judged
from benchmarks.target import middle as figure

CONNECTIONS = 10_000
REQUEST = b"GET /items/42 HTTP/1.1\r\nHost: bench\r\n\r\n"


def allow_connections() -> None:
    """Both ends need a descriptor for each connection; children inherit the limit."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    if hard != resource.RLIM_INFINITY and hard < CONNECTIONS + 1000:
        raise SystemExit(f"{CONNECTIONS:,} connections need `ulimit -Hn` of {CONNECTIONS + 1000}; it is {hard}")


def measure(directory: Path, rounds: int, seconds: float) -> list[Row]:
    allow_connections()
    rows = [Row(peer.name) for peer in BARE]
    with small_service(directory) as upstream:

        def trial(row: Row) -> dict[str, float]:
            with alone(row.name, directory, upstream) as door:
                return grown(door, seconds)

        alternate(rows, rounds, trial, "each_kib", warm_up=False)
    return rows


def grown(door: Door, seconds: float) -> dict[str, float]:
    """Memory before and with the connections; warmed up first, so that a load's own growth does not count."""
    wrk(f"http://{door.address}/items/42", OTHER_CORE, 64, min(seconds, 2))
    before = anonymous_kib(door.pid)
    with ExitStack() as stack:
        kept = [stack.enter_context(connected(door)) for _ in range(CONNECTIONS)]
        held = anonymous_kib(door.pid)
        alive = sum(is_open(connection) for connection in kept)
    if alive < CONNECTIONS:
        raise NotRun(f"closed {CONNECTIONS - alive:,} of {CONNECTIONS:,} connections")
    return {"before_mib": before / 1024, "held_mib": held / 1024, "each_kib": (held - before) / CONNECTIONS}


def connected(door: Door) -> socket.socket:
    """A connection that has done one request."""
    connection = socket.create_connection(("127.0.0.1", door.port), timeout=10)
    try:
        connection.sendall(REQUEST)
        answer = connection.recv(65536)
    except OSError as error:
        connection.close()
        raise NotRun(f"a connection failed: {error}") from error
    if not answer.startswith(b"HTTP/1.1 200"):
        connection.close()
        raise NotRun(f"answered {answer[:40]!r}")
    return connection


def is_open(connection: socket.socket) -> bool:
    connection.setblocking(False)
    try:
        return bool(connection.recv(65536))
    except BlockingIOError:
        return True
    except OSError:
        return False


def table(rows: list[Row]) -> str:
    columns = [
        middle("KiB each", "each_kib", ".2f"),
        spread("each_kib", ".2f"),
        middle("before, MiB", "before_mib", ".1f"),
        middle("with them, MiB", "held_mib", ".1f"),
    ]
    target = Target("each", figure("each_kib"), " KiB", most=2.0)
    return tabled(f"{CONNECTIONS:,} idle connections", rows, columns) + judged(rows, target)
