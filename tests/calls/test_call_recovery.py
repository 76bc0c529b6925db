"""Calls of every kind to real services, by a gateway that is lost again and again: what was under way is asked again
with its key, and what was done is undone."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
import uvicorn
from calls.test_call_authentication import document
from flow import config
from mcp.server.mcpserver import MCPServer
from running import Gateway, until
from service import Service

Json = Any
Start = Callable[..., Gateway]
KINDS = ("openapi", "grpc", "mcp")
STEPS = [*(f"{kind} reserve" for kind in KINDS), *(f"{kind} release" for kind in reversed(KINDS))]
"""In the order in which they are due."""
PROTO = """syntax = "proto3";
package desk;
service Desk {
  rpc reserve(Wish) returns (Place);
  rpc release(Place) returns (Place);
}
message Wish { string name = 1; }
message Place { string id = 1; }
"""
DESCRIPTION = {
    "openapi": "3.1.0",
    "servers": [{"url": "https://desk.example/v1"}],
    "paths": {
        "/reserve/{name}": {"post": {"operationId": "reserve", "parameters": [{"in": "path", "name": "name"}]}},
        "/release/{id}": {"delete": {"operationId": "release", "parameters": [{"in": "path", "name": "id"}]}},
    },
}


@dataclass
class Ledger:
    """What services were asked for. A step that is to be held waits, the first time that it is asked for."""

    asked: list[tuple[str, str, str]] = field(default_factory=list)
    """Step, key, and for what."""
    held: dict[str, threading.Event] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def take(self, step: str, key: str, what: str) -> None:
        with self.lock:
            first = all(known != step for known, _, _ in self.asked)
            self.asked.append((step, key, what))
        if first and step in self.held:
            self.held[step].wait(60)

    def keys(self, step: str) -> list[str]:
        with self.lock:
            return [key for known, key, _ in self.asked if known == step]


class Desk(Service):
    def __init__(self, ledger: Ledger) -> None:
        super().__init__()
        self.ledger = ledger

    def decide(self, path: str, number: int) -> tuple[int, str, bytes]:
        _, _, step, what = path.split("/")
        seen = next(seen for seen in reversed(self.requests) if seen.path == path)
        self.ledger.take(f"openapi {step}", seen.key, what)
        return 200, "application/json", json.dumps({"id": f"seat-of-{what}"}).encode()


@contextlib.contextmanager
def grpc_desk(ledger: Ledger) -> Iterator[int]:
    """Its port. Messages have one text each, and stay as they are on the wire."""

    def handler(step: str) -> grpc.RpcMethodHandler:
        def handle(message: bytes, context: grpc.ServicerContext) -> bytes:
            what, metadata = message[2:].decode(), dict(context.invocation_metadata())
            ledger.take(f"grpc {step}", str(metadata["idempotency-key"]), what)
            found = f"seat-of-{what}".encode()
            return bytes([0x0A, len(found)]) + found

        return grpc.unary_unary_rpc_method_handler(handle)

    server = grpc.server(ThreadPoolExecutor(8))
    methods = {step: handler(step) for step in ("reserve", "release")}
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("desk.Desk", methods)])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield port
    server.stop(None)


@contextlib.contextmanager
def mcp_desk(ledger: Ledger) -> Iterator[int]:
    """Its port."""
    tools = MCPServer("desk")

    @tools.tool()
    def reserve(name: str) -> str:
        """Reserves."""
        return f"seat-of-{name}"

    @tools.tool()
    def release(id: str) -> str:
        """Releases."""
        return id

    app = tools.streamable_http_app(json_response=True)

    async def keeping(scope: Json, receive: Json, send: Json) -> None:
        """Takes the key down before the protocol's own code has the request."""
        key = dict(scope.get("headers", [])).get(b"idempotency-key")
        if key is None:
            await app(scope, receive, send)
            return
        body, more = b"", True
        while more:
            message = await receive()
            body, more = body + message.get("body", b""), message.get("more_body", False)
        asked = json.loads(body)["params"]
        [what] = asked["arguments"].values()
        await asyncio.to_thread(ledger.take, f"mcp {asked['name']}", key.decode(), what)
        whole = [{"type": "http.request", "body": body, "more_body": False}]

        async def again() -> Json:
            return whole.pop() if whole else await receive()

        await app(scope, again, send)

    server = uvicorn.Server(uvicorn.Config(keeping, host="127.0.0.1", port=0, log_level="critical"))
    thread = threading.Thread(target=server.run)
    thread.start()
    until(lambda: server.started)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    thread.join()


def openapi(operation: str, parameters: Json) -> Json:
    said = {"document": {"endpoint": "desk.json"}, "operationId": operation, "parameters": parameters}
    return {"call": "openapi", "with": said}


def rpc(method: str, arguments: Json) -> Json:
    service = {"name": "desk.Desk", "host": "grpc"}
    said = {"proto": {"endpoint": "desk.proto"}, "service": service, "method": method, "arguments": arguments}
    return {"call": "grpc", "with": said}


def tool(name: str, arguments: Json) -> Json:
    parameters = {"name": name, "arguments": arguments}
    transport = {"http": {"endpoint": "cluster://mcp/mcp"}}
    return {"call": "mcp", "with": {"method": "tools/call", "parameters": parameters, "transport": transport}}


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    """Of services that a folder's workflow calls: three reservations, and then an error."""
    name, found = {"name": "${ $workflow.input.name }"}, {"id": "${ .id }"}
    do: list[Json] = [
        {"openapi": with_undo(openapi("reserve", name), openapi("release", found))},
        {"grpc": with_undo(rpc("reserve", name), rpc("release", found))},
        {"mcp": with_undo(tool("reserve", name), tool("release", {"id": "${ .content[0].text }"}))},
        {"full": {"raise": {"error": {"type": "https://desk.example/full", "status": 409, "title": "Full"}}}},
    ]
    document(tmp_path, do)
    (tmp_path / "desk.json").write_text(json.dumps(DESCRIPTION))
    (tmp_path / "desk.proto").write_text(PROTO)
    ledger = Ledger()
    with Desk(ledger) as desk, grpc_desk(ledger) as grpc_port, mcp_desk(ledger) as mcp_port:
        text = config(desk.port, extra='engine: {servers: {"https://desk.example": "cluster://service"}}')
        more = f'grpc: {{endpoints: ["http://127.0.0.1:{grpc_port}"], protocol: h2c}}, '
        more += f'mcp: {{endpoints: ["http://127.0.0.1:{mcp_port}"]}}, '
        (tmp_path / "stagedoor.yaml").write_text(text.replace("clusters: {", f"clusters: {{{more}"))
        yield ledger
        for gate in ledger.held.values():
            gate.set()


def with_undo(task: Json, undo: Json) -> Json:
    return {**task, "metadata": {"stagedoor/compensate": undo}}


def begin(running: Gateway) -> None:
    with contextlib.suppress(OSError):
        running.request("POST", "/flow", {"name": "ann"}, {"idempotency-key": "k", "prefer": "respond-async"})


def has_crashed(running: Gateway) -> bool:
    """Whether it does, before its execution has ended or just when it has."""

    def settled() -> bool:
        with contextlib.suppress(OSError, ValueError):
            return [each["status"] for each in running.admin("/executions").json["executions"]] == ["faulted"]
        return False

    until(lambda: running.process.poll() is not None or settled())
    # An end is shown before it is committed, and that commit may be the one to crash at.
    return (running.process.poll() or running.end()) == 137


def is_undone(running: Gateway, ledger: Ledger, times: int, again: Collection[str] = ()) -> None:
    """Whoever asks again with the client's key is told, and each step has been asked for with one key of its own; of
    those of ``again`` perhaps once more."""
    answer = running.request("POST", "/flow", {"name": "ann"}, {"idempotency-key": "k"})
    assert (answer.status, answer.json["compensation"]["status"]) == (409, "complete"), answer
    counts = {step: len(ledger.keys(step)) for step in STEPS}
    assert counts == {step: max(times, min(counts[step], times + 1)) if step in again else times for step in STEPS}
    keys = {step: set(ledger.keys(step)) for step in STEPS}
    assert [len(each) for each in keys.values()] == [1] * len(STEPS)
    assert len(set.union(*keys.values())) == len(STEPS)
    asked = list(dict.fromkeys(step for step, _, _ in ledger.asked))
    assert asked == STEPS
    assert {what for step, _, what in ledger.asked if step.endswith("reserve")} == {"ann"}
    assert {what for step, _, what in ledger.asked if step.endswith("release")} == {"seat-of-ann"}


def test_a_crash_after_every_single_event_does_each_call_and_each_undo_once(gateway: Start, ledger: Ledger) -> None:
    lives, crashed = 0, True
    while crashed:
        lives += 1
        running = gateway(environment={"STAGEDOOR_CRASH_AFTER_EVENT": "1"})
        if lives == 1:
            begin(running)
        crashed = has_crashed(running)
    # Started, three answers with their undos, the three undos, the end; and a life with nothing left to do.
    assert lives > 10
    # The undo of a step is written down while the next step is on its way: that may have been asked before the crash.
    is_undone(gateway(), ledger, 1, again=("grpc reserve", "mcp reserve"))


def test_a_call_that_is_under_way_when_the_gateway_is_killed_is_asked_again_with_its_key(
    gateway: Start, ledger: Ledger
) -> None:
    ledger.held = {step: threading.Event() for step in STEPS}
    for step in STEPS:
        running = gateway()
        begin(running)
        until(lambda step=step: ledger.keys(step))
        running.kill()
        ledger.held[step].set()
    is_undone(gateway(), ledger, 2)
