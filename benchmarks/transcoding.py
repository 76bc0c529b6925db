"""CPU per call of gRPC for a client of HTTP and JSON: every gateway pinned to core 0, load and service on core 1."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import row as compared
from benchmarks.peer import ENVOY, PEERS, STAGEDOOR, Peer, render, serving
from benchmarks.process import OTHER_CORE, free_port, running
from benchmarks.proxy import closed_loop
from benchmarks.row import NotRun, Row, alternate
from benchmarks.row import table as tabled
from benchmarks.target import Target, against, judged
from benchmarks.trial import COLUMNS

TRANSCODER = Peer("Envoy, grpc_json_transcoder", "envoy-transcoding.yaml", ENVOY)
COMPARED = [Peer("stagedoor", "stagedoor-transcoding.yaml", STAGEDOOR), TRANSCODER]
ITEM = {
    "id": "42",
    "name": "chair",
    "stock": 7,
    "tags": ["wood", "garden"],
    "price": {"cents": "4900", "currency": "EUR"},
}
MESSAGE = b"\x08\x2a\x12\x05chair\x18\x07\x22\x04wood\x22\x06garden\x2a\x08\x08\xa4\x26\x12\x03EUR"
"""The same, as gRPC sends it."""


def measure(directory: Path, rounds: int, seconds: float) -> list[Row]:
    more = {"descriptors": descriptors(directory)}
    with service(directory) as upstream, serving(COMPARED, directory, upstream, more=more) as (rows, doors):
        for door in doors.values():
            check(door.address)
        alternate(rows, rounds, lambda row: closed_loop(doors[row.name], seconds), "cpu_us")
    return rows


def descriptors(directory: Path) -> Path:
    """Of ``peers/item.proto``; Envoy reads no sources."""
    out = directory / "item.binpb"
    import grpc_tools
    from google.api import annotations_pb2

    paths = [PEERS, Path(grpc_tools.__file__).parent / "_proto", Path(annotations_pb2.__file__).parents[2]]
    command = [sys.executable, "-m", "grpc_tools.protoc", *(f"-I{path}" for path in paths), "--include_imports"]
    try:
        subprocess.run([*command, f"--descriptor_set_out={out}", "item.proto"], check=True, timeout=60)
    except subprocess.CalledProcessError as error:
        raise NotRun("the descriptors could not be made") from error
    return out


@contextmanager
def service(directory: Path) -> Iterator[int]:
    """nginx answering one message; yields its port."""
    (directory / "item.frame").write_bytes(b"\0" + len(MESSAGE).to_bytes(4, "big") + MESSAGE)
    os.chmod(directory / "item.frame", 0o644)
    port = free_port()
    config = render("upstream-grpc.conf", directory, {"upstream": port})
    with running(["nginx", "-c", str(config)], port, OTHER_CORE):
        yield port


def check(address: str) -> None:
    """The message is what is measured."""
    with urllib.request.urlopen(f"http://{address}/items/42", timeout=10) as answer:
        found = json.load(answer)
    if found != ITEM:
        raise NotRun(f"{address} answered {found}")


def table(rows: list[Row]) -> str:
    what = "a call of one message: CPU against Envoy's transcoder"
    target = Target(what, against(TRANSCODER.name, "cpu_us"), "×", most=0.6)
    columns = [COLUMNS[0], compared.against(TRANSCODER.name, "cpu_us"), *COLUMNS[2:]]
    return tabled("JSON in front of gRPC", rows, columns) + judged(rows, target)
