"""``call: grpc`` against a server of grpcio."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import pytest
from calls.test_call_authentication import document
from flow import config
from running import Gateway
from stagedoor.errors import InvalidDefinition
from stagedoor.workflow.parse import parse, restore, stored
from stagedoor.workflow.resource import Pinned

Json = Any
SECRET = "s3cret-of-the-greeter"
PROTO = """syntax = "proto3";
package greet;
import "parts/name.proto"; // and no more: import "lost.proto";
service Greeter {
  rpc SayHello(HelloRequest) returns (HelloReply);
  rpc SayOften(HelloRequest) returns (stream HelloReply);
}
message HelloRequest { parts.Name name = 1; int32 code = 2; bool silent = 3; }
message HelloReply { string message = 1; int64 times = 2; repeated string words = 3; }
"""
NAME = 'syntax = "proto3"; package parts; message Name { string first = 1; }'
HEAD = {"dsl": "1.0.3", "namespace": "test", "name": "flow", "version": "1.0.0"}


def call(service: Json, arguments: Json = None, proto: str = "greet.proto", method: str = "SayHello") -> Json:
    said = {"proto": {"endpoint": proto}, "service": service, "method": method}
    return {"call": "grpc", "then": "end", "with": said if arguments is None else {**said, "arguments": arguments}}


class Seen(NamedTuple):
    metadata: dict[str, str]
    left: float


class Running(NamedTuple):
    gateway: Gateway
    seen: list[Seen]
    folder: Path

    def ask(self, task: str, **input: Json) -> Json:
        self.seen.clear()
        return self.gateway.request("POST", "/flow", {"task": task, **input}).json


def compiled(folder: Path) -> Any:
    """The messages as protoc has them, and ``set.pb`` with their descriptors."""
    (folder / "parts").mkdir()
    (folder / "parts" / "name.proto").write_text(NAME)
    (folder / "greet.proto").write_text(PROTO)
    names = ["greet.proto", "parts/name.proto"]
    options = ["-I.", "--include_imports", "--descriptor_set_out=set.pb"]
    subprocess.run([sys.executable, "-m", "grpc_tools.protoc", *options, *names], cwd=folder, check=True)
    from google.protobuf import descriptor_pb2, message_factory

    files = descriptor_pb2.FileDescriptorSet.FromString((folder / "set.pb").read_bytes()).file
    return message_factory.GetMessages(files)


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("grpc")
    messages = compiled(folder)
    seen: list[Seen] = []

    def say_hello(request: Any, context: grpc.ServicerContext) -> Any:
        metadata = {key: value for key, value in context.invocation_metadata() if isinstance(value, str)}
        seen.append(Seen(metadata, context.time_remaining()))
        if request.code:
            context.abort(list(grpc.StatusCode)[request.code], "no – greeting")
        return messages["greet.HelloReply"](message=f"Hello {request.name.first}", times=2**60)

    handler = grpc.unary_unary_rpc_method_handler(
        say_hello, messages["greet.HelloRequest"].FromString, messages["greet.HelloReply"].SerializeToString
    )
    server = grpc.server(ThreadPoolExecutor(4))
    server.add_generic_rpc_handlers([grpc.method_handlers_generic_handler("greet.Greeter", {"SayHello": handler})])
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    greeter = {"name": "greet.Greeter", "host": "greeter"}
    arguments = {"name": {"first": "${ .name }"}, "code": "${ .code // 0 }"}
    plain = {"name": "Greeter", "host": "127.0.0.1", "port": port, "authentication": {"bearer": {"token": "of-ann"}}}
    tasks = {
        "sources": call(greeter, arguments),
        "set": call(greeter, arguments, "set.pb"),
        "plain": call(plain, arguments),
        "secret": call(greeter, {"name": {"first": "${ $secrets.word }"}, "code": 5}),
        "misfit": call(greeter, "${ .arguments }") | {"with": call(greeter, {"nam": 1})["with"]},
        "lost": call({"name": "greet.Greeter", "host": "lost"}),
    }
    which = {"switch": [{name: {"when": f'.task == "{name}"', "then": name}} for name in tasks]}
    document(folder, [{"which": which}, *({name: task} for name, task in tasks.items())], secrets=["word"])
    spoken = "protocol: h2c}"
    clusters = f'greeter: {{endpoints: ["http://127.0.0.1:{port}"], {spoken}, '
    clusters += f'lost: {{endpoints: ["http://127.0.0.1:9"], {spoken}'
    extra = f'engine: {{secrets: {{word: {SECRET}}}, allow_hosts: ["http://127.0.0.1:{port}"]}}'
    text = config(1, extra=extra).replace("clusters: {", f"clusters: {{{clusters}, ")
    (folder / "stagedoor.yaml").write_text(text)
    gateway = Gateway(folder)
    yield Running(gateway, seen, folder)
    gateway.kill()
    server.stop(None)


@pytest.mark.parametrize("task", ["sources", "set", "plain"])
def test_a_method_is_called_and_its_message_is_the_output(running: Running, task: str) -> None:
    answer = running.ask(task, name="Jürgen")
    assert answer == {"message": "Hello Jürgen", "times": str(2**60), "words": []}, running.gateway.log
    [seen] = running.seen
    assert seen.metadata["idempotency-key"].endswith(f"/{task}")
    assert "traceparent" in seen.metadata
    assert 0 < seen.left <= 30
    assert seen.metadata.get("authorization") == ("Bearer of-ann" if task == "plain" else None)


@pytest.mark.parametrize(
    ("code", "title", "status", "calls"),
    [
        (grpc.StatusCode.NOT_FOUND, "NOT_FOUND", 404, 1),
        (grpc.StatusCode.UNAVAILABLE, "UNAVAILABLE", 503, 1),
        (grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED", 504, 3),
    ],
)
def test_a_status_is_an_error_and_one_that_leaves_the_outcome_open_is_repeated(
    running: Running, code: grpc.StatusCode, title: str, status: int, calls: int
) -> None:
    error = running.ask("sources", name="x", code=list(grpc.StatusCode).index(code))
    assert error["type"].endswith("/errors/communication")
    assert (error["status"], error["title"], error["detail"]) == (status, title, "no – greeting")
    assert len(running.seen) == calls
    assert len({seen.metadata["idempotency-key"] for seen in running.seen}) == 1


def test_a_secret_of_an_argument_is_nowhere_to_be_read(running: Running) -> None:
    assert running.ask("secret")["title"] == "NOT_FOUND"
    for file in running.folder.iterdir():
        assert not file.is_file() or file.name == "stagedoor.yaml" or SECRET.encode() not in file.read_bytes(), file


def test_arguments_that_are_no_message_and_servers_that_are_not_there_are_errors(running: Running) -> None:
    misfit = running.ask("misfit")
    assert (misfit["status"], misfit["title"]) == (400, "Request not valid")
    assert "nam" in misfit["detail"]
    assert running.seen == []
    assert running.ask("lost")["status"] == 502


@pytest.mark.parametrize(
    ("service", "method", "message"),
    [
        ("greet.Greter", "SayHello", "there is no service 'greet.Greter'"),
        ("greet.Greeter", "SayHallo", "has no method 'SayHallo'; there are SayHello, SayOften"),
        ("greet.Greeter", "SayOften", "not supported: 'SayOften' is a stream"),
    ],
)
def test_what_a_description_does_not_have_is_found(service: str, method: str, message: str) -> None:
    source = Pinned({"text greet.proto": PROTO, "text parts/name.proto": NAME})
    do = [{"one": call({"name": service, "host": "greeter"}, method=method)}]
    with pytest.raises(InvalidDefinition) as refused:
        parse({"document": HEAD, "do": do}, source)
    [problem] = refused.value.problems
    assert message in problem.message
    assert problem.path == ("do", 0, "one", "with", "proto", "endpoint")


def test_a_source_that_is_wrong_or_lost_is_told() -> None:
    do = [{"one": call({"name": "greet.Greeter", "host": "greeter"})}]
    for resources, message in (
        ({"text greet.proto": PROTO}, "parts/name.proto cannot be read here"),
        ({"text greet.proto": "syntax = 3"}, "greet.proto: in 'greet.proto': line 1, column"),
    ):
        with pytest.raises(InvalidDefinition) as refused:
            parse({"document": HEAD, "do": do}, Pinned(resources))
        assert message in refused.value.problems[0].message


def test_a_definition_is_restored_with_its_sources() -> None:
    source = Pinned({"text api/greet.proto": PROTO, "text api/parts/name.proto": NAME})
    service = {"name": "greet.Greeter", "host": "greeter.example", "port": 443}
    written = {"document": HEAD, "do": [{"one": call(service, proto="api/greet.proto")}]}
    definition = parse(written, source)
    again = restore(json.loads(json.dumps(stored(definition))))
    assert again.hash == definition.hash
    assert again.grpc_hosts == {"http://greeter.example:443"}
