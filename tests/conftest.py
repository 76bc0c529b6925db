"""What tests of the running gateway share: a service that does as it is told, and a gateway process before it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from running import Gateway
from service import Service


@pytest.fixture
def service() -> Iterator[Service]:
    with Service() as running:
        yield running


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Callable[..., Gateway]]:
    """Starts gateways, and ends those that a test has left."""
    started: list[Gateway] = []

    def start(config: str | None = None, **options: object) -> Gateway:
        if config is not None:
            (tmp_path / "stagedoor.yaml").write_text(config)
        running = Gateway(tmp_path, **options)
        started.append(running)
        return running

    yield start
    for each in started:
        each.kill()
