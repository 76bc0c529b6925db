"""Ten million finished executions in the store: the start and a new execution cost what they cost with none."""

from __future__ import annotations

import os
import shutil
import sqlite3
import time
import urllib.request
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from benchmarks.engine import BODY, HEADERS
from benchmarks.gateway import gateway
from benchmarks.peer import render
from benchmarks.process import free_port
from benchmarks.row import Column, NotRun, Row, against, alternate
from benchmarks.row import middle as column
from benchmarks.row import table as tabled
from benchmarks.target import Target, judged
from benchmarks.target import against as ratio
from benchmarks.trial import costs
from benchmarks.workflow import posted

EXECUTIONS = 10_000_000
SPACE = 1100
"""Bytes of the disk that each of them may need, with what it takes to write it."""
CHUNK = 250_000
STARTS = 3
scale = 1.0
"""Of that many."""
EMPTY, FULL = "none", "ten million"


def measure(directory: Path, rounds: int, seconds: float) -> list[Row]:
    rows = [Row(EMPTY), Row(FULL)]
    configs = {row.name: prepared(directory / row.name.replace(" ", "-")) for row in rows}
    full = configs[FULL][0].parent / "workflow.db"
    kept = fill(full, int(EXECUTIONS * scale))
    starts: dict[str, list[tuple[float, float]]] = {row.name: [] for row in rows}
    for _ in range(STARTS):
        for name, (config, port) in configs.items():
            with gateway(config, port) as started:
                starts[name].append((started.started_s, started.start_cpu_s))
    with ExitStack() as stack:
        doors = {name: stack.enter_context(gateway(*config)) for name, config in configs.items()}

        def trial(row: Row) -> Mapping[str, float]:
            door = doors[row.name]
            found = costs(door, lambda: posted(f"http://127.0.0.1:{door.port}/local", seconds))
            size = (configs[row.name][0].parent / "workflow.db").stat().st_size
            start_s, start_cpu_s = map(median, zip(*starts[row.name], strict=True))
            found |= {"start_s": start_s, "start_cpu_s": start_cpu_s}
            return {**found, "size_gib": size / 2**30, "kept": kept if row.name == FULL else 0}

        alternate(rows, rounds, trial, "cpu_us")
    return rows


def prepared(home: Path) -> tuple[Path, int]:
    """A configuration with a store in which one execution is finished, and its port."""
    home.mkdir()
    os.chmod(home, 0o755)
    port = free_port()
    for document in ("five.yaml", "local.yaml"):
        render(document, home, {})
    config = render("stagedoor-workflow.yaml", home, {"port": port, "upstream": 1})
    with gateway(config, port):
        request = urllib.request.Request(f"http://127.0.0.1:{port}/local", BODY, HEADERS)
        with urllib.request.urlopen(request, timeout=30) as answer:
            if answer.status != 200:
                raise NotRun(f"the first execution was answered {answer.status}")
    return config, port


def fill(store: Path, count: int) -> int:
    """Many like the one that is there, straight into the tables: ids and times in the order in which they would have
    come, a thousand a second until now, and everything else as it is. How many there are then."""
    if shutil.disk_usage(store).free < 2 * count * SPACE:
        raise NotRun(f"{store} has no room for {count:,} executions")
    begin = time.monotonic()
    connection = sqlite3.connect(store, isolation_level=None)
    try:
        for pragma in ("journal_mode = OFF", "synchronous = OFF", "locking_mode = EXCLUSIVE", "cache_size = -500000"):
            connection.execute(f"PRAGMA {pragma}").fetchall()
        columns = [name for _, name, *_ in connection.execute("PRAGMA table_info(execution)")]
        made = {"id": "made.id", "created": "made.at", "ended": "made.at + 0.001"}
        chosen = ", ".join(made.get(name, f"kept.{name}") for name in columns)
        (first,) = connection.execute("SELECT id FROM execution").fetchone()
        connection.execute("CREATE TEMP TABLE kept AS SELECT * FROM execution WHERE id = ?", (first,))
        connection.execute("CREATE TEMP TABLE said AS SELECT * FROM event WHERE execution = ?", (first,))
        connection.execute("CREATE TEMP TABLE made (id TEXT, at REAL)")
        (until,) = connection.execute("SELECT created FROM kept").fetchone()
        for begun in range(0, count, CHUNK):
            some = min(CHUNK, count - begun)
            connection.execute("BEGIN")
            connection.execute("DELETE FROM made")
            # A UUID of version 7: 48 bits of milliseconds, and what makes it one of its kind.
            connection.execute(
                "WITH RECURSIVE n(i) AS (SELECT ? UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?) "
                "INSERT INTO made SELECT printf('%08x-%04x-7%03x-8%03x-%012x', (? + i) >> 16, (? + i) & 65535, "
                "i & 4095, i >> 12 & 4095, i * 2654435761 & 281474976710655), (? + i) / 1000.0 FROM n",
                (begun, begun + some, *[int(until * 1000) - count - 1] * 3),
            )
            connection.execute(f"INSERT INTO execution ({', '.join(columns)}) SELECT {chosen} FROM made, kept")
            connection.execute(
                "INSERT INTO event SELECT made.id, said.seq, said.type, made.at + said.seq / 1000.0, "
                "replace(said.data, ?, made.id) FROM made, said",
                (first,),
            )
            connection.execute("COMMIT")
            print(f"{begun + some:,} executions after {time.monotonic() - begin:.0f} s", flush=True)
        (found,) = connection.execute("SELECT count(*) FROM execution WHERE status = 'completed'").fetchone()
    except sqlite3.Error as error:
        raise NotRun(f"the store could not be filled: {error}") from error
    finally:
        connection.close()
    return int(found)


def table(rows: list[Row]) -> str:
    columns = [
        column("executions", "kept", ",.0f"),
        column("store, GiB", "size_gib", ".2f"),
        column("start, s", "start_s", ".2f"),
        column("its CPU, s", "start_cpu_s", ".2f"),
        column("CPU of a new one, µs", "cpu_us", ",.0f"),
        against(EMPTY, "cpu_us"),
        column("a second", "per_second", ",.0f"),
        column("p50 ms", "p50_ms", ".1f"),
        column("p99 ms", "p99_ms", ".1f"),
        Column("RSS MiB", lambda row, _: f"{row.values('rss_mib')[-1]:.0f}"),
    ]
    return tabled("finished executions", rows, columns) + judged(
        rows,
        Target("start against an empty store", ratio(EMPTY, "start_s"), "×", row=FULL, most=1.1),
        Target("CPU of a new execution against an empty store", ratio(EMPTY, "cpu_us"), "×", row=FULL, most=1.1),
    )
