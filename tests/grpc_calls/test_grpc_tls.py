"""gRPC over TLS on both sides of the gateway: a client that verifies it, and a service that wants its certificate."""

from __future__ import annotations

import json
import queue
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from running import Gateway
from stock import Stock, serve

MAKE = Path(__file__).parents[2] / "examples/tls/make.sh"
NAME = "shop.localhost"
CONFIG = """
listeners:
  public: {{bind: "127.0.0.1:0", tls: {{certificates: [{{chain: made/{name}.pem, key: made/{name}.key}}]}}}}
admin: {{bind: "127.0.0.1:0"}}
workers: 1
clusters: {clusters}
routes: {routes}
"""
IDENTITY = {"cert": "made/client.pem", "key": "made/client.key"}
CLUSTERS: dict[str, Any] = {
    "h2": {"protocol": "h2", "tls": {"server_name": NAME, **IDENTITY}},
    "auto": {"protocol": "auto", "tls": {"server_name": NAME, **IDENTITY}},
    "nameless": {"protocol": "h2", "tls": {"server_name": "other.localhost", **IDENTITY}},
    "unknown": {"protocol": "h2", "tls": {"server_name": NAME}},
}
"""Chosen by a header of the call."""


def config(port: int) -> str:
    clusters = {
        name: {"endpoints": [f"https://127.0.0.1:{port}"], **cluster, "tls": {"ca": "made/ca.pem", **cluster["tls"]}}
        for name, cluster in CLUSTERS.items()
    }
    routes = {
        name: {
            "match": {"path": "/shop.Stock/{method}", "headers": {"x-cluster": name}},
            "target": {"cluster": name},
        }
        for name in CLUSTERS
    }
    return CONFIG.format(name=NAME, clusters=json.dumps(clusters), routes=json.dumps(routes))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tls")
    shutil.copy(MAKE, folder)
    subprocess.run(["sh", str(folder / "make.sh")], check=True, cwd=folder)
    return folder


@pytest.fixture(scope="module")
def address(folder: Path) -> Iterator[str]:
    made = folder / "made"
    pair = ((made / f"{NAME}.key").read_bytes(), (made / f"{NAME}.pem").read_bytes())
    credentials = grpc.ssl_server_credentials([pair], (made / "ca.pem").read_bytes(), require_client_auth=True)
    server, port = serve(Stock(), credentials=credentials)
    (folder / "stagedoor.yaml").write_text(config(port))
    door = Gateway(folder)
    assert door.addresses, door.log
    yield door.addresses["listeners"]["public"]
    door.kill()
    server.stop(None).wait()


@pytest.fixture
def dial_tls(folder: Path, address: str) -> Iterator[Callable[[bytes], grpc.Channel]]:
    channels = []

    def dial(roots: bytes) -> grpc.Channel:
        options = [("grpc.ssl_target_name_override", NAME), ("grpc.enable_http_proxy", 0)]
        channels.append(grpc.secure_channel(address, grpc.ssl_channel_credentials(roots), options))
        return channels[-1]

    yield dial
    for channel in channels:
        channel.close()


@pytest.fixture
def channel(folder: Path, dial_tls: Callable[[bytes], grpc.Channel]) -> grpc.Channel:
    return dial_tls((folder / "made/ca.pem").read_bytes())


@pytest.mark.parametrize("cluster", ["h2", "auto"])
def test_every_kind_of_call(channel: grpc.Channel, cluster: str) -> None:
    metadata = [("x-cluster", cluster)]
    answer, call = channel.unary_unary("/shop.Stock/Get").with_call(b"mug", metadata=metadata, timeout=30)
    assert (answer, dict(call.trailing_metadata())["x-after"]) == (b"mug", "2")
    requests = (b"x" * size for size in range(100))
    summed = channel.stream_unary("/shop.Stock/Sum")(requests, metadata=metadata, timeout=30)
    assert summed == str(sum(range(100))).encode()
    listed = channel.unary_stream("/shop.Stock/List")(b"500", metadata=metadata, timeout=30)
    assert len(list(listed)) == 500
    said: queue.Queue[bytes | None] = queue.Queue()
    answers = channel.stream_stream("/shop.Stock/Chat")(iter(said.get, None), metadata=metadata, timeout=30)
    for word in (b"one", b"two" * 100_000):
        said.put(word)
        assert next(answers) == word.upper()
    said.put(None)
    assert list(answers) == []


@pytest.mark.parametrize(
    ("cluster", "method", "timeout", "expected"),
    [
        ("h2", "Wait", 0.5, "DEADLINE_EXCEEDED"),
        # The endpoint's certificate is for another name, and the endpoint wants one of the gateway.
        ("nameless", "Get", 30, "UNAVAILABLE"),
        ("unknown", "Get", 30, "UNAVAILABLE"),
    ],
)
def test_what_fails_has_its_status(
    channel: grpc.Channel, cluster: str, method: str, timeout: float, expected: str
) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        channel.unary_unary(f"/shop.Stock/{method}")(b"", metadata=[("x-cluster", cluster)], timeout=timeout)
    assert raised.value.code().name == expected


def test_a_client_that_does_not_trust_the_gateway_sends_it_nothing(
    dial_tls: Callable[[bytes], grpc.Channel], folder: Path
) -> None:
    channel = dial_tls((folder / "made/help.localhost.pem").read_bytes())
    with pytest.raises(grpc.RpcError) as raised:
        channel.unary_unary("/shop.Stock/Get")(b"", metadata=[("x-cluster", "h2")], timeout=30)
    assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
