"""A service with every kind of method, and a gateway that offers it to clients of HTTP."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from running import Gateway

sys.path.insert(0, str(Path(__file__).parent))

from kitchen import Kitchen, serve
from translated import start

Json = Any


@pytest.fixture(scope="package")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Kitchen, Gateway, int]]:
    kitchen = Kitchen()
    server, port = serve(kitchen)
    folder = tmp_path_factory.mktemp("door")
    door = start(folder, port, {"grpc": {"descriptors": {"file": "kitchen.binpb"}}})
    yield kitchen, door, port
    door.kill()
    server.stop(None).wait()


@pytest.fixture
def kitchen(shared: tuple[Kitchen, Gateway, int]) -> Kitchen:
    """With nothing remembered."""
    kitchen = shared[0]
    kitchen.seen.clear()
    kitchen.times.clear()
    kitchen.go_on.clear()
    kitchen.cancelled.clear()
    return kitchen


@pytest.fixture
def door(shared: tuple[Kitchen, Gateway, int]) -> Gateway:
    return shared[1]


@pytest.fixture
def another_door(shared: tuple[Kitchen, Gateway, int], tmp_path: Path) -> Iterator[Callable[..., Gateway]]:
    """Before the same service, with other settings: ``grpc`` beside the descriptors, and other policies."""
    doors = []

    def make(grpc: Json | None = None, **more: Json) -> Gateway:
        translate = {"grpc": {"descriptors": {"file": "kitchen.binpb"}} | (grpc or {})}
        folder = tmp_path / str(len(doors))
        folder.mkdir()
        doors.append(start(folder, shared[2], translate, **more))
        return doors[-1]

    yield make
    for door in doors:
        door.kill()
