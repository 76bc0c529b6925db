"""A service with every kind of method, and a gateway that offers it to clients of HTTP."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest
from running import Gateway

sys.path.insert(0, str(Path(__file__).parent))

from kitchen import Kitchen, serve
from translated import DESCRIPTORS, HOSTS, Door, Json, cluster, start


@pytest.fixture(scope="package")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Kitchen, Gateway]]:
    kitchen = Kitchen()
    server, port = serve(kitchen)
    compressing, other = serve(kitchen, compression=grpc.Compression.Gzip)
    clusters = {"kitchen": cluster(port)}
    routes: dict[str, Json] = {"all": {"policies": {"translate": {"grpc": DESCRIPTORS}}}}
    for host, settings in HOSTS.items():
        clusters[host] = cluster(other if host == "compressing" else port, **settings.get("cluster", {}))
        translate = {"grpc": DESCRIPTORS | settings.get("grpc", {})}
        routes[host] = {
            "match": {"path": "/{rest...}", "host": host},
            "policies": {"translate": translate, **settings.get("policies", {})},
            "target": {"cluster": host},
        }
    gateway = start(tmp_path_factory.mktemp("door"), clusters, routes)
    yield kitchen, gateway
    gateway.kill()
    for each in (server, compressing):
        each.stop(None).wait()


@pytest.fixture
def kitchen(shared: tuple[Kitchen, Gateway]) -> Kitchen:
    """With nothing remembered."""
    kitchen = shared[0]
    kitchen.seen.clear()
    kitchen.times.clear()
    kitchen.go_on.clear()
    kitchen.cancelled.clear()
    return kitchen


@pytest.fixture
def door(shared: tuple[Kitchen, Gateway]) -> Gateway:
    return shared[1]


@pytest.fixture
def host(shared: tuple[Kitchen, Gateway]) -> Callable[[str], Door]:
    """One of ``HOSTS``."""
    return lambda name: Door(shared[1], name)
