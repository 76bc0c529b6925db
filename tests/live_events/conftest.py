"""One gateway with a route for each way to configure the translation, before one service of either kind."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from live_door import Door
from running import Gateway
from streaming import Playing

sys.path.insert(0, str(Path(__file__).parents[1] / "websocket"))

from sockets import Socket

STREAMS = {
    "plain": "",
    "envelope": "messages: envelope",
    "ignore": "client_messages: ignore, keep_alive: 100ms",
    "bounded": "message_size: 1100B",
    "again": "last_event_id: after, reconnect: {delay: 10ms, attempts: 3}",
    "watched": "keep_alive: 100ms",
    "one": "connections: 1, subprotocol: live",
    "brief": "drain: 0s",
}
SOCKETS = {
    "plain": "keep_alive: 500ms",
    "envelope": "messages: envelope",
    "base64": "binary: base64",
    "named": "last_event_id: after id, subprotocol: live",
}
POLICIES = {"one": "authenticate: {any: [api_key]}, csrf: {}", "silent": "limits: {stream_idle: 1s}"}


def config(streams: int, sockets: int) -> str:
    text = f"""
listeners: {{public: {{bind: "127.0.0.1:0"}}}}
admin: {{bind: "127.0.0.1:0"}}
clusters:
  streams: {{endpoints: ["http://127.0.0.1:{streams}"]}}
  sockets: {{endpoints: ["http://127.0.0.1:{sockets}"], timeouts: {{request: 2s}}}}
  gone: {{endpoints: ["http://127.0.0.1:1"]}}
consumers: {{demo: {{api_keys: ["demo-key"]}}}}
policies: {{access_log: {{path: access.log}}}}
routes:
  gone:
    match: {{path: /gone}}
    policies: {{translate: {{events: {{service: event_stream}}}}}}
    target: {{cluster: gone}}
"""
    for kind, cluster, variants in (("event_stream", "streams", STREAMS), ("websocket", "sockets", SOCKETS)):
        for name, options in {**variants, "silent": ""}.items():
            text += f"""
  {cluster}-{name}:
    match: {{path: "/{cluster}/{name}/{{rest...}}"}}
    policies: {{translate: {{events: {{service: {kind}, {options}}}}}, {POLICIES.get(name, "")}}}
    target: {{cluster: {cluster}, path: "/{{rest}}"}}
"""
    return text


@pytest.fixture(scope="session")
def both() -> Iterator[tuple[Playing, Socket]]:
    streams, sockets = Playing(), Socket()
    yield streams, sockets
    streams.stop()
    sockets.stop()


@pytest.fixture(scope="session")
def shared(both: tuple[Playing, Socket], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("door")
    (folder / "stagedoor.yaml").write_text(config(both[0].port, both[1].port))
    gateway = Gateway(folder)
    yield gateway
    gateway.kill()


@pytest.fixture
def streams(both: tuple[Playing, Socket]) -> Playing:
    both[0].forget()
    return both[0]


@pytest.fixture
def sockets(both: tuple[Playing, Socket]) -> Socket:
    both[1].forget()
    return both[1]


@pytest.fixture
def door(shared: Gateway) -> Door:
    return Door(shared)
