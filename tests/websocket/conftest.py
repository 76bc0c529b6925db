"""The example's chat room, an echo service, and a gateway with the example's configuration before either."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from echoing import Echo, Running
from running import Gateway
from websockets.asyncio.server import serve

EXAMPLE = Path(__file__).parents[2] / "examples/websocket"
sys.path.insert(0, str(EXAMPLE))

import chat  # noqa: E402


def before(port: int, gateway: Callable[..., Gateway], *changes: tuple[str, str], **options: str) -> Gateway:
    """``changes`` of the example's configuration, each a text and what stands there instead."""
    config = (EXAMPLE / "stagedoor.yaml").read_text()
    ports = ("127.0.0.1:8080", "127.0.0.1:0"), ("127.0.0.1:9901", "127.0.0.1:0"), (":8765", f":{port}")
    for written, real in (*ports, *changes):
        assert written in config
        config = config.replace(written, real)
    return gateway(config.replace("access_log: {}", "access_log: {path: access.log}"), **options)


@pytest.fixture
def echo() -> Echo:
    return Echo()


@pytest.fixture
def open_door(echo: Echo, gateway: Callable[..., Gateway]) -> Iterator[Callable[..., Gateway]]:
    """With changes of the configuration, and options of the gateway."""
    running = Running(lambda: serve(echo, "127.0.0.1", 0, max_size=None))
    yield lambda *changes, **options: before(running.port, gateway, *changes, **options)
    running.stop()


@pytest.fixture
def echo_door(open_door: Callable[..., Gateway]) -> Gateway:
    return open_door()


@pytest.fixture
def chat_door(gateway: Callable[..., Gateway]) -> Iterator[Gateway]:
    running = Running(lambda: chat.start(0))
    yield before(running.port, gateway)
    running.stop()
