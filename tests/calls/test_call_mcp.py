"""``call: mcp`` against a real server of the protocol's own SDK, and against one that misbehaves."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import uvicorn
from calls.test_call_authentication import document
from flow import config
from mcp.server.mcpserver import MCPServer
from running import Gateway, until
from service import Service

Json = Any
SECRET = "s3cret-of-the-tool"


def server(*, json_response: bool) -> Any:
    tools = MCPServer("pets")
    seen: list[str] = []

    @tools.tool()
    def add(number: int, other: int) -> int:
        """Adds."""
        return number + other

    @tools.tool()
    def remember(word: str) -> str:
        """Remembers."""
        seen.append(word)
        return str(len(word))

    @tools.tool()
    def fail() -> str:
        """Fails."""
        raise ValueError("there are no pets")

    @tools.resource("pets://all")
    def pets() -> str:
        """All pets."""
        return "Milou"

    @tools.prompt()
    def greet(name: str) -> str:
        """Greets."""
        return f"Hello {name}"

    return tools.streamable_http_app(json_response=json_response), seen


class Running(NamedTuple):
    gateway: Gateway
    misbehaving: Misbehaving
    words: list[str]
    folder: Path

    def ask(self, task: str, **input: Json) -> Json:
        return self.gateway.request("POST", "/flow", {"task": task, **input}).json


class Misbehaving(Service):
    """Does at ``/KIND`` as the kind says."""

    def decide(self, path: str, number: int) -> tuple[int, str, bytes]:
        seen = self.requests[-1]
        if seen.method == "DELETE":
            return 200, "application/json", b""
        asked = seen.json
        if path == "/closed":
            return 503, "application/json", b"{}"
        if asked["method"] == "initialize":
            version = "1999-01-01" if path == "/old" else "2025-06-18"
            result = {"protocolVersion": version, "capabilities": {}, "serverInfo": {"name": "x", "version": "1"}}
            return 200, "application/json", json.dumps({"jsonrpc": "2.0", "id": asked["id"], "result": result}).encode()
        if "id" not in asked:
            return 202, "application/json", b""
        if path == "/drop":
            return 0, "", b""
        if path == "/stream":
            other = {"jsonrpc": "2.0", "method": "notifications/progress", "params": {}}
            answer = {"jsonrpc": "2.0", "id": 1, "result": {"tools": []}}
            text = f": a comment\nevent: message\ndata: {json.dumps(other)}\n\ndata: {json.dumps(answer)[:17]}\r\n"
            return 200, "text/event-stream", f"{text}data: {json.dumps(answer)[17:]}\r\n\r\n".encode()
        return 200, "application/json", b'{"jsonrpc": "2.0", "id": 7, "result": {}}'


def call(uri: Json, method: str, parameters: Json = None, **more: Json) -> Json:
    said = {"method": method, "transport": {"http": {"endpoint": uri}}, **more}
    return {"call": "mcp", "then": "end", "with": said if parameters is None else {**said, "parameters": parameters}}


TOOL = {"name": "${ .tool }", "arguments": "${ .arguments }"}
WORD = {"word": "${ $secrets.word }"}
TASKS = {
    "list": call("cluster://mcp/mcp", "tools/list"),
    "call": call("cluster://mcp/mcp", "tools/call", TOOL),
    "json": call("cluster://json/mcp", "tools/call", TOOL, client={"name": "shop", "version": "2"}),
    "secret": call(
        "cluster://mcp/mcp", "tools/call", {"name": "remember", "arguments": {"word": "${ $secrets.word }"}}
    ),
    "read": call("cluster://mcp/mcp", "resources/read", {"uri": "pets://all"}),
    "prompt": call("cluster://mcp/mcp", "prompts/get", {"name": "greet", "arguments": {"name": "Ann"}}),
    **{
        kind: call(f"cluster://service/{kind}", "tools/call" if kind == "drop" else "tools/list", {"name": "x"})
        for kind in ("closed", "old", "drop", "stream", "wrong")
    },
}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("mcp")
    servers, threads, clusters, words = [], [], "", []
    for name, as_json in (("mcp", False), ("json", True)):
        app, seen = server(json_response=as_json)
        each = uvicorn.Server(uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error"))
        servers.append(each)
        threads.append(threading.Thread(target=each.run))
        threads[-1].start()
        until(lambda each=each: each.started)
        port = each.servers[0].sockets[0].getsockname()[1]
        clusters += f'{name}: {{endpoints: ["http://127.0.0.1:{port}"]}}, '
        if name == "mcp":
            words = seen
    with Misbehaving() as service:
        which = {"switch": [{name: {"when": f'.task == "{name}"', "then": name}} for name in TASKS]}
        document(folder, [{"which": which}, *({name: task} for name, task in TASKS.items())], secrets=["word"])
        text = config(service.port, extra=f"engine: {{secrets: {{word: {SECRET}}}}}")
        (folder / "stagedoor.yaml").write_text(text.replace("clusters: {", f"clusters: {{{clusters}"))
        gateway = Gateway(folder)
        yield Running(gateway, service, words, folder)
        gateway.kill()
    for each, thread in zip(servers, threads, strict=True):
        each.should_exit = True
        thread.join()


@pytest.mark.parametrize("task", ["call", "json"])
def test_a_tool_is_called_and_its_result_is_the_output(running: Running, task: str) -> None:
    answer = running.ask(task, tool="add", arguments={"number": 20, "other": 22})
    assert answer["content"] == [{"type": "text", "text": "42"}], running.gateway.log
    assert answer["structuredContent"] == {"result": 42}


def test_what_a_server_has_can_be_listed_and_read(running: Running) -> None:
    assert [tool["name"] for tool in running.ask("list")["tools"]] == ["add", "remember", "fail"]
    assert running.ask("read")["contents"][0]["text"] == "Milou"
    assert running.ask("prompt")["messages"][0]["content"]["text"] == "Hello Ann"


def test_a_parameter_may_be_a_secret(running: Running) -> None:
    assert running.ask("secret")["content"][0]["text"] == str(len(SECRET))
    assert running.words == [SECRET]
    for file in running.folder.iterdir():
        if file.is_file() and file.name != "stagedoor.yaml":
            assert SECRET.encode() not in file.read_bytes(), file


def test_a_tool_that_fails_and_a_request_that_is_refused_are_errors(running: Running) -> None:
    failed = running.ask("call", tool="fail", arguments={})
    assert (failed["status"], failed["title"]) == (500, "The tool failed")
    assert "fail" in failed["detail"]
    refused = running.ask("call", tool="nothing", arguments={})
    assert refused["type"].endswith("/errors/communication")


def test_an_answer_may_be_in_a_stream_of_events(running: Running) -> None:
    assert running.ask("stream") == {"tools": []}
    opened, initialized, asked = running.misbehaving.to("/stream")
    assert opened.json["params"]["clientInfo"] == {"name": "stagedoor", "version": "1"}
    assert initialized.json["method"] == "notifications/initialized"
    assert asked.headers["mcp-protocol-version"] == "2025-06-18"
    assert "idempotency-key" not in opened.headers
    assert asked.key.endswith("/stream")


@pytest.mark.parametrize(("task", "status"), [("closed", 503), ("old", 502), ("wrong", 502)])
def test_a_server_that_cannot_be_used_is_an_error(running: Running, task: str, status: int) -> None:
    assert running.ask(task)["status"] == status


def test_a_tool_whose_answer_is_lost_is_called_again_with_its_key(running: Running) -> None:
    answer = running.ask("drop")
    assert answer["status"] == 502
    keys = {seen.headers.get("idempotency-key") for seen in running.misbehaving.to("/drop")} - {None}
    calls = [seen for seen in running.misbehaving.to("/drop") if seen.json["method"] == "tools/call"]
    assert len(keys) == 1
    assert len(calls) >= 3
