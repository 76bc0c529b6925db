"""The example's service, and a gateway with the example's configuration before it."""

from __future__ import annotations

import shutil
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from running import Gateway, until

EXAMPLE = Path(__file__).parents[2] / "examples/graphql"
sys.path.insert(0, str(EXAMPLE))

import graphql_shop as shop  # noqa: E402
import uvicorn  # noqa: E402


class Shop:
    """The service, and the targets and contents of the requests that reached it."""

    def __init__(self) -> None:
        self.requests: list[tuple[str, bytes]] = []
        served = shop.app()

        async def app(scope, receive, send):  # type: ignore[no-untyped-def]
            if scope["type"] != "http":
                await served(scope, receive, send)
                return
            content, more = b"", True
            while more:
                message = await receive()
                content, more = content + message.get("body", b""), message.get("more_body", False)
            target = scope["raw_path"].decode() + "?" + scope["query_string"].decode()
            self.requests.append((f"{scope['method']} {target}", content))
            given = [{"type": "http.request", "body": content}]

            async def again():  # type: ignore[no-untyped-def]
                return given.pop() if given else await receive()

            await served(scope, again, send)

        listening = socket.create_server(("127.0.0.1", 0))
        self.port = listening.getsockname()[1]
        self._server = uvicorn.Server(uvicorn.Config(app, log_level="critical", lifespan="off", ws="websockets-sansio"))
        self._thread = threading.Thread(target=self._server.run, args=([listening],), daemon=True)
        self._thread.start()
        until(lambda: self._server.started)

    def end(self) -> None:
        self._server.should_exit = True
        self._thread.join(30)


def start(folder: Path, port: int, *changes: tuple[str, str]) -> Gateway:
    """``changes`` of the example's configuration, each a text and what stands there instead."""
    shutil.copytree(EXAMPLE, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__"))
    config = (folder / "stagedoor.yaml").read_text()
    ports = ("127.0.0.1:8080", "127.0.0.1:0"), ("127.0.0.1:9901", "127.0.0.1:0"), (":9301", f":{port}")
    for written, real in (*ports, ("access_log: {}", "access_log: {path: access.log}"), *changes):
        assert written in config, written
        config = config.replace(written, real)
    (folder / "stagedoor.yaml").write_text(config)
    return Gateway(folder)


@pytest.fixture(scope="package")
def running_shop() -> Iterator[Shop]:
    running = Shop()
    yield running
    running.end()


@pytest.fixture(scope="package")
def door(running_shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """For tests that leave it as it was."""
    gateway = start(tmp_path_factory.mktemp("door"), running_shop.port)
    yield gateway
    gateway.kill()


LOOSE = """routes:
  loose:
    match: {path: /loose}
    policies:
      upgrade: {}
      graphql:
        operations: [query, subscription]
        websocket: pass
        unread: [multipart/form-data]
        csrf_headers: []
        max_cost: 100
    target: {cluster: shop, path: /}
  cached:
    match: {path: /cached}
    policies:
      cache: {ttl: {200: 1m}}
      graphql: {documents: {files: ["operations/*.graphql"], only: false}, batch: 2, automatic: true}
    target: {cluster: shop, path: /}
"""


@pytest.fixture(scope="package")
def loose_door(running_shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """With other routes, for tests that leave it as it was."""
    gateway = start(tmp_path_factory.mktemp("loose"), running_shop.port, ("routes:\n", LOOSE))
    yield gateway
    gateway.kill()


@pytest.fixture
def service(running_shop: Shop) -> Shop:
    """With nothing remembered."""
    running_shop.requests.clear()
    return running_shop


@pytest.fixture
def other_door(running_shop: Shop, tmp_path: Path) -> Iterator[Callable[..., Gateway]]:
    started: list[Gateway] = []

    def begin(*changes: tuple[str, str]) -> Gateway:
        started.append(start(tmp_path / str(len(started)), running_shop.port, *changes))
        return started[-1]

    yield begin
    for each in started:
        each.kill()
