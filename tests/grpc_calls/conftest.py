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


@pytest.fixture
def stock() -> Stock:
    return Stock()


@pytest.fixture
def served(stock: Stock) -> Iterator[tuple[grpc.Server, int]]:
    server, port = serve(stock)
    yield server, port
    server.stop(None).wait()


@pytest.fixture
def server(served: tuple[grpc.Server, int]) -> grpc.Server:
    return served[0]


@pytest.fixture
def port(served: tuple[grpc.Server, int]) -> int:
    return served[1]


@pytest.fixture
def door(port: int, gateway: Callable[..., Gateway]) -> Gateway:
    config = (EXAMPLE / "stagedoor.yaml").read_text()
    for written, real in (("127.0.0.1:8080", "127.0.0.1:0"), ("127.0.0.1:9901", "127.0.0.1:0"), (":50051", f":{port}")):
        assert written in config
        config = config.replace(written, real)
    return gateway(config.replace("access_log: {}", "access_log: {path: access.log}"))
