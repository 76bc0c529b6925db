"""CPU per answer that is made of three calls: every gateway pinned to core 0, load and service on core 1."""

from __future__ import annotations

import json
import urllib.request
from pathlib import Path

from benchmarks import row as compared
from benchmarks.peer import NGINX, STAGEDOOR, Peer, serving, small_service
from benchmarks.proxy import closed_loop
from benchmarks.row import NotRun, Row, alternate
from benchmarks.row import table as tabled
from benchmarks.target import Target, against, judged
from benchmarks.trial import COLUMNS

LUA = Peer("nginx with Lua", "nginx-lua.conf", NGINX.command)
PEERS = [Peer("stagedoor", "stagedoor-aggregate.yaml", STAGEDOOR), LUA]
ITEM = {"id": 42, "name": "chair", "stock": 7}


def measure(directory: Path, rounds: int, seconds: float) -> list[Row]:
    with small_service(directory) as upstream, serving(PEERS, directory, upstream) as (rows, doors):
        for door in doors.values():
            check(door.address)
        alternate(rows, rounds, lambda row: closed_loop(doors[row.name], seconds), "cpu_us")
    return rows


def check(address: str) -> None:
    """All three answers are in the one that is measured."""
    with urllib.request.urlopen(f"http://{address}/page", timeout=10) as answer:
        found = json.load(answer)
    if found != {"one": ITEM, "two": ITEM, "three": ITEM}:
        raise NotRun(f"{address} answered {found}")


def table(rows: list[Row]) -> str:
    target = Target("three calls in one answer: CPU against nginx with Lua", against(LUA.name, "cpu_us"), "×", most=0.8)
    columns = [COLUMNS[0], compared.against(LUA.name, "cpu_us"), *COLUMNS[2:]]
    return tabled("three calls in one answer", rows, columns) + judged(rows, target)
