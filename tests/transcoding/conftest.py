"""A service with every kind of method, and a gateway that offers it to clients of HTTP."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from running import Gateway

sys.path.insert(0, str(Path(__file__).parent))

from kitchen import Kitchen, descriptor_set, serve

Json = Any


def start(folder: Path, port: int, translate: Json, **more: Json) -> Gateway:
    """``more``: other policies, and ``cluster``."""
    cluster = {"endpoints": [f"http://127.0.0.1:{port}"], "protocol": "h2c"} | more.pop("cluster", {})
    configuration = {
        "listeners": {"public": {"bind": "127.0.0.1:0", "http2": {"h2c": True}}},
        "admin": {"bind": "127.0.0.1:0"},
        "workers": 1,
        "clusters": {"kitchen": cluster},
        "routes": {
            "all": {
                "match": {"path": "/{rest...}"},
                "policies": {"translate": translate, **more},
                "target": {"cluster": "kitchen"},
            }
        },
    }
    (folder / "stagedoor.yaml").write_text(json.dumps(configuration))
    (folder / "kitchen.binpb").write_bytes(descriptor_set("kitchen.proto", "old.proto"))
    return Gateway(folder)


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
