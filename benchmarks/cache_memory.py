"""What a stored response costs: memory and files, with and without 20,000 of them. One round: no load is measured."""

from __future__ import annotations

import socket
import time
from pathlib import Path

from benchmarks.cache import CACHES
from benchmarks.cache_disk import PEERS as ON_DISK
from benchmarks.load import tool, wrk
from benchmarks.peer import Door, Peer, serving
from benchmarks.process import OTHER_CORE, anonymous_kib, free_port, running
from benchmarks.row import NotRun, Row, alternate, middle
from benchmarks.row import table as tabled

OBJECTS = 20_000
SIZES = {"1 KiB, by stagedoor in memory": (1 << 10, CACHES), "4 KiB, by both on the disk": (4 << 10, ON_DISK)}


def measure(directory: Path, rounds: int, seconds: float) -> dict[str, list[Row]]:
    upstream = free_port()

    def growth(size: int, peers: list[Peer]) -> list[Row]:
        rows = [Row(peer.name) for peer in peers]

        def trial(row: Row) -> dict[str, float]:
            with serving([peer for peer in peers if peer.name == row.name], directory, upstream) as ([started], doors):
                if started.not_run is not None:
                    raise NotRun(started.not_run)
                return grown(doors[row.name], directory, upstream, size)

        alternate(rows, 1, trial, "each_bytes", warm_up=False)
        return rows

    return {name: growth(size, peers) for name, (size, peers) in SIZES.items()}


def grown(door: Door, directory: Path, upstream: int, size: int) -> dict[str, float]:
    """Memory and files before and with them; warmed up first, so that a load's own growth does not count."""
    files = directory / str(door.port)
    with (
        running([tool("endpoint", directory), str(upstream)], upstream, OTHER_CORE),
        socket.create_connection(("127.0.0.1", door.port), timeout=10) as connection,
    ):
        wrk(f"http://{door.address}/bytes/{size}", OTHER_CORE, 64, 1)
        memory, disk = anonymous_kib(door.pid), occupied(files)
        for number in range(OBJECTS):
            ask(connection, size, number)
        while occupied(files) != occupied(files, after_s=0.2):
            pass  # not everything is written
        held, written = anonymous_kib(door.pid), occupied(files)
    # None has been forgotten meanwhile: the service is gone when they are asked for again.
    with socket.create_connection(("127.0.0.1", door.port), timeout=10) as connection:
        for number in range(0, OBJECTS, 20):
            ask(connection, size, number)
    return {
        "each_bytes": (held - memory) * 1024 / OBJECTS,
        "disk_bytes": (written - disk) / OBJECTS,
        "held_mib": held / 1024,
    }


def ask(connection: socket.socket, size: int, number: int) -> None:
    connection.sendall(f"GET /bytes/{size}?{number} HTTP/1.1\r\nHost: bench\r\n\r\n".encode())
    answer, length = b"", size
    while len(answer) < length:
        piece = connection.recv(65536)
        if not piece:
            raise NotRun(f"closed the connection at object {number:,}")
        answer += piece
        head, whole, _ = answer.partition(b"\r\n\r\n")
        if whole:
            length = len(head) + len(whole) + size
    if not answer.startswith(b"HTTP/1.1 200 ") or len(answer) != length:
        raise NotRun(f"answered {answer[:40]!r}")


def occupied(folder: Path, after_s: float = 0.0) -> int:
    """Bytes that the files take, in the file system's blocks."""
    time.sleep(after_s)
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())


def table(result: dict[str, list[Row]]) -> str:
    columns = [
        middle("memory for each, bytes", "each_bytes", ",.0f"),
        middle("files for each, bytes", "disk_bytes", ",.0f"),
        middle("memory with them, MiB", "held_mib", ".1f"),
    ]
    return "\n\n".join(tabled(f"{OBJECTS:,} responses of {name}", rows, columns) for name, rows in result.items())
