"""The examples of policies do what their pages say."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from pathlib import Path

from running import Gateway, request

EXAMPLES = Path(__file__).parents[2] / "examples"
sys.path.insert(0, str(EXAMPLES / "ext_authz"))

import authorizer  # noqa: E402


def opened(gateway: Callable[..., Gateway], name: str, environment: dict[str, str] | None = None, **places: int) -> str:
    """The address of the example's gateway, with ports that are free instead of those that it names."""
    config = (EXAMPLES / name / "stagedoor.yaml").read_text()
    for written, real in {"_8080": 0, **places}.items():
        assert f"127.0.0.1:{written[1:]}" in config
        config = config.replace(f"127.0.0.1:{written[1:]}", f"127.0.0.1:{real}")
    door = gateway(config + '\nadmin: {bind: "127.0.0.1:0"}\n', environment=environment)
    assert door.addresses, door.log
    address: str = door.addresses["listeners"]["public"]
    return address


def test_an_authorizer_decides(gateway: Callable[..., Gateway]) -> None:
    with authorizer.start(0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        door = opened(gateway, "ext_authz", _9002=server.server_port)
        answer = request(door, "GET", "/orders")
        assert (answer.status, answer.headers["location"]) == (302, "https://login.example/")
        answer = request(door, "GET", "/orders", headers={"x-tenant": "red"})
        assert (answer.status, answer.headers["x-decided-by"]) == (200, "the authorizer")
        answer = request(door, "DELETE", "/orders/7", headers={"x-tenant": "red"})
        assert (answer.status, answer.body) == (403, b"only blue may write\n")
        assert request(door, "DELETE", "/orders/7", headers={"x-tenant": "blue"}).status == 200
        server.shutdown()
