"""The example's service, and a gateway with the example's configuration before it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
from running import Gateway

EXAMPLE = Path(__file__).parents[2] / "examples/grpc"
sys.path.insert(0, str(EXAMPLE))

from stock import Stock, serve  # noqa: E402

OPTIONS = [("grpc.max_receive_message_length", -1), ("grpc.enable_http_proxy", 0)]


def start(folder: Path, port: int, *changes: tuple[str, str]) -> Gateway:
    """``changes`` of the example's configuration, each a text and what stands there instead."""
    config = (EXAMPLE / "stagedoor.yaml").read_text()
    ports = ("127.0.0.1:8080", "127.0.0.1:0"), ("127.0.0.1:9901", "127.0.0.1:0"), (":50051", f":{port}")
    for written, real in (*ports, *changes):
        assert written in config
        config = config.replace(written, real)
    (folder / "stagedoor.yaml").write_text(
        config.replace("access_log: {}", "access_log: {path: access.log, headers: [grpc-timeout, x-call]}")
    )
    return Gateway(folder)


@pytest.fixture(scope="package")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stock, Gateway]]:
    """For tests that leave them as they were."""
    stock = Stock()
    server, port = serve(stock)
    door = start(tmp_path_factory.mktemp("door"), port)
    yield stock, door
    door.kill()
    server.stop(None).wait()


@pytest.fixture
def stock(shared: tuple[Stock, Gateway]) -> Stock:
    """With nothing remembered."""
    shared[0].forget()
    return shared[0]


@pytest.fixture
def door(shared: tuple[Stock, Gateway]) -> Gateway:
    return shared[1]


@pytest.fixture
def own_server() -> Iterator[tuple[grpc.Server, int]]:
    server, port = serve(Stock())
    yield server, port
    server.stop(None).wait()


@pytest.fixture
def own_door(own_server: tuple[grpc.Server, int], tmp_path: Path) -> Iterator[Gateway]:
    """For tests that change the configuration or end the service."""
    door = start(tmp_path, own_server[1])
    yield door
    door.kill()


@pytest.fixture
def changed_door(own_server: tuple[grpc.Server, int], tmp_path: Path) -> Iterator[Callable[..., Gateway]]:
    """Of one's own, with changes of the configuration."""
    doors = []

    def change(*changes: tuple[str, str]) -> Gateway:
        doors.append(start(tmp_path, own_server[1], *changes))
        return doors[-1]

    yield change
    for door in doors:
        door.kill()


@pytest.fixture
def dial() -> Iterator[Callable[[Gateway], grpc.Channel]]:
    channels = []

    def dial(door: Gateway) -> grpc.Channel:
        assert door.addresses, door.log
        channel = grpc.insecure_channel(door.addresses["listeners"]["public"], OPTIONS)
        channels.append(channel)
        return channel

    yield dial
    for channel in channels:
        channel.close()
