"""A thousand clients that send one byte a second beside clients that behave: latency of the others, and memory."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.idle import allow_connections
from benchmarks.latency import at_rate, saturation
from benchmarks.load import tool
from benchmarks.peer import BARE, NGINX, Door, alone, small_service
from benchmarks.process import anonymous_kib
from benchmarks.row import Column, Row, alternate, middle
from benchmarks.row import table as tabled

CLIENTS = 1000
LONGER = 4
HEAD = b"GET /items/42 HTTP/1.1\r\nHost: bench\r\nX-Slow: "
BODY = b"POST /patient HTTP/1.1\r\nHost: bench\r\nContent-Length: 100000\r\n\r\n"


@dataclass
class Crowd:
    """Every second client is slow with its head, the others with a body."""

    port: int
    closed: int = 0
    """Connections that the proxy has closed; each was opened again."""
    refused: int = 0
    """Attempts to connect that failed."""
    clients: list[socket.socket | None] = field(default_factory=list)

    def connect(self, turn: int) -> socket.socket | None:
        try:
            client = socket.create_connection(("127.0.0.1", self.port), timeout=5)
        except OSError:
            self.refused += 1
            return None
        client.setblocking(False)
        with suppress(OSError):
            client.send(BODY if turn % 2 else HEAD)
        return client

    def turn(self, turn: int) -> None:
        """One byte of one client; who was answered or closed starts anew."""
        client = self.clients[turn]
        if client is not None:
            try:
                try:
                    client.recv(4096)
                except BlockingIOError:
                    client.send(b"x")
                    return
            except OSError:
                pass  # reset: closed like one that was answered
            client.close()
            self.closed += 1
        self.clients[turn] = self.connect(turn)

    def run(self, stop: threading.Event) -> None:
        begin, done = time.monotonic(), 0
        while not stop.is_set():
            due = int((time.monotonic() - begin) * CLIENTS)
            for step in range(done, due):
                self.turn(step % CLIENTS)
            done = max(done, due)
            stop.wait(0.005)


@contextmanager
def crowd(port: int) -> Iterator[Crowd]:
    """All are connected when the block begins."""
    slow, stop = Crowd(port), threading.Event()
    slow.clients = [slow.connect(turn) for turn in range(CLIENTS)]
    thread = threading.Thread(target=slow.run, args=(stop,))
    thread.start()
    try:
        yield slow
    finally:
        stop.set()
        thread.join()
        for client in slow.clients:
            if client is not None:
                client.close()


@dataclass
class Slow:
    rate: float
    rows: list[Row]


def measure(directory: Path, rounds: int, seconds: float) -> Slow:
    allow_connections()
    openloop = tool("openloop", directory)
    rows = [Row(peer.name) for peer in BARE]
    with small_service(directory) as upstream:
        with alone(NGINX.name, directory, upstream) as reference:
            rate = saturation(reference, seconds) / 2

        def trial(row: Row) -> dict[str, float]:
            with alone(row.name, directory, upstream) as door:
                return compared(openloop, door, rate, seconds)

        alternate(rows, rounds, trial, "beside_p99_us", warm_up=False)
    return Slow(rate, rows)


def compared(openloop: str, door: Door, rate: float, seconds: float) -> dict[str, float]:
    """The others for ``seconds`` alone, then ``LONGER`` times that beside the crowd."""
    found = {f"alone_{key}": value for key, value in at_rate(openloop, door.address, rate, seconds).items()}
    before = anonymous_kib(door.pid)
    with crowd(door.port) as slow:
        beside = at_rate(openloop, door.address, rate, seconds * LONGER)
        held = anonymous_kib(door.pid)
    found |= {f"beside_{key}": value for key, value in beside.items()}
    return found | {
        "grown_kib": (held - before) / CLIENTS,
        "held_mib": held / 1024,
        "closed": slow.closed,
        "refused": slow.refused,
    }


def table(result: Slow) -> str:
    def pair(title: str, key: str) -> Column:
        return Column(title, lambda row, _: f"{row.middle('alone_' + key):,.0f} → {row.middle('beside_' + key):,.0f}")

    columns = [
        pair("p50 µs of the others", "p50_us"),
        pair("p99 µs of the others", "p99_us"),
        pair("their answers a second", "per_second"),
        middle("KiB for each slow client", "grown_kib", ".1f"),
        middle("memory with them, MiB", "held_mib", ".1f"),
        Column("closed / refused", lambda row, _: f"{row.middle('closed'):,.0f} / {row.middle('refused'):,.0f}"),
    ]
    return f"{result.rate:,.0f} requests a second of the others.\n\n" + tabled(
        f"{CLIENTS:,} slow clients", result.rows, columns
    )
