"""Events to and from a real NATS server."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import nats
import pytest
from flow import config, write
from running import Gateway, until
from service import Service

SERVER = shutil.which("nats-server") or shutil.which("nats-server", path="/usr/sbin")
pytestmark = pytest.mark.skipif(SERVER is None, reason="nats-server is not here (make test-tools)")

Start = Callable[..., Gateway]
EMIT = [{"e": {"emit": {"event": {"with": {"type": "com.example.paid", "data": {"n": "${ .n }"}}}}}}]


class Server:
    """With JetStream, on a port of its own that it keeps."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, -1
        folder.mkdir()
        self.start()

    def start(self) -> None:
        for old in self.folder.glob("*.ports"):
            old.unlink()
        assert SERVER is not None
        store = str(self.folder / "store")
        options = ["-a", "127.0.0.1", "-p", str(self.port), "-js", "-sd", store, "--ports_file_dir", str(self.folder)]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen([SERVER, *options, "--user", "gate", "--pass", PASSWORD], **quiet)
        file = until(lambda: next(self.folder.glob("*.ports"), None))
        url = until(lambda: file.read_text() and json.loads(file.read_text())["nats"][0])
        self.port = int(url.rpartition(":")[2])

    def stop(self) -> None:
        self.process.kill()
        self.process.wait(30)

    def ask(self, use: Callable[[Any], Awaitable[Any]]) -> Any:
        """What comes of using a client."""

        async def asked() -> Any:
            client = await nats.connect(f"nats://127.0.0.1:{self.port}", user="gate", password=PASSWORD)
            try:
                return await use(client)
            finally:
                await client.close()

        return asyncio.run(asked())

    def add(self, stream: str, subject: str) -> None:
        self.ask(lambda client: client.jetstream().add_stream(name=stream, subjects=[subject]))

    def messages(self, stream: str) -> list[Any]:
        async def read(client: Any) -> list[Any]:
            js = client.jetstream()
            state = (await js.stream_info(stream)).state
            return [await js.get_msg(stream, number) for number in range(1, state.messages + 1)]

        return self.ask(read)


PASSWORD = "geheim-of-the-broker"


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path / "broker")
    yield server
    server.stop()


def settings(broker: Server, **more: Any) -> str:
    common = {"servers": [f"nats://127.0.0.1:{broker.port}"], "user": "gate", "password": "${env:BROKER}"}
    return "engine: " + json.dumps({"events": {"nats": {**common, **more}}})


def delivered(running: Gateway, count: int) -> None:
    until(lambda: f"stagedoor_events_delivered_total {count}" in running.metrics())


def test_a_stream_has_each_event_once_whoever_was_down_meanwhile(
    gateway: Start, service: Service, broker: Server, tmp_path: Path
) -> None:
    write(tmp_path, EMIT)
    text = config(service.port, extra=settings(broker, publish="shop.{type}"))
    running = gateway(text, environment={"BROKER": PASSWORD})
    first = running.request("POST", "/flow", {"n": 1}).json
    until(lambda: "no stream of the broker takes its subject" in running.log)
    broker.add("SHOP", "shop.>")
    delivered(running, 1)
    broker.stop()
    second = running.request("POST", "/flow", {"n": 2}).json
    until(lambda: running.log.count("event not taken") == 2)
    running.kill()
    broker.start()
    running = gateway(environment={"BROKER": PASSWORD})
    delivered(running, 1)
    messages = broker.messages("SHOP")
    assert [json.loads(each.data) for each in messages] == [first, second]
    assert {each.subject for each in messages} == {"shop.com.example.paid"}
    head = messages[0].headers
    assert head["content-type"] == "application/cloudevents+json"
    assert head["Nats-Msg-Id"] == f"/workflows/test/flow%20{first['id']}"
    # Sent again, as after a crash between the broker's word and its note here, it is known by its id.
    again = dict(head)
    broker.ask(lambda client: client.jetstream().publish(messages[0].subject, messages[0].data, headers=again))
    assert len(broker.messages("SHOP")) == 2
    assert PASSWORD not in running.log


def test_without_a_stream_the_server_s_word_is_enough(
    gateway: Start, service: Service, broker: Server, tmp_path: Path
) -> None:
    write(tmp_path, EMIT)
    text = config(service.port, extra=settings(broker, publish="all", jetstream=False))
    running = gateway(text, environment={"BROKER": PASSWORD})

    async def listen(client: Any) -> Any:
        subscription = await client.subscribe("all")
        await client.flush()
        emitted = await asyncio.to_thread(running.request, "POST", "/flow", {"n": 1})
        return json.loads((await subscription.next_msg(timeout=30)).data), emitted.json

    got, emitted = broker.ask(listen)
    assert got == emitted
    delivered(running, 1)


def test_events_of_a_stream_come_to_workflows_once_also_across_a_crash(
    gateway: Start, service: Service, broker: Server, tmp_path: Path
) -> None:
    until_two = {"to": {"any": [{"with": {"type": "paid"}}], "until": "length == 2"}}
    write(tmp_path, [{"l": {"listen": until_two}}])
    broker.add("ORDERS", "orders.>")
    text = config(service.port, extra=settings(broker, consume={"stream": "ORDERS", "subjects": ["orders.paid.*"]}))
    running = gateway(text, environment={"BROKER": PASSWORD})

    def send(id: str, data: bytes | None = None, where: str = "orders.paid.x", **headers: str) -> None:
        event = {"specversion": "1.0", "id": id, "source": "/shop", "type": "paid", "data": id}
        body = json.dumps(event).encode() if data is None else data
        broker.ask(lambda client: client.jetstream().publish(where, body, headers=headers or None))

    location = running.request("POST", "/flow", {}, {"prefer": "respond-async"}).headers["location"]
    until(lambda: running.request("GET", location).json["status"] == "waiting")
    send("0", where="orders.other")
    send("1", b"no event")
    send("2")
    until(lambda: "stagedoor_events_received_total 1" in running.metrics())
    until(lambda: "is no event" in running.log)
    running.kill()
    send("2")
    head = {"ce-specversion": "1.0", "ce-id": "3", "ce-source": "/shop", "ce-type": "paid"}
    send("3", b'"three"', **head, **{"content-type": "application/json"})
    running = gateway(environment={"BROKER": PASSWORD})
    status = until(
        lambda: (found := running.request("GET", location).json)["status"] == "completed" and found, within_s=60
    )
    assert status["output"] == ["2", "three"]
    assert "stagedoor_events_duplicate_total 1" in running.metrics()
