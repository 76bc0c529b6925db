"""A service of gRPC with every kind of field and method, its types made of ``kitchen.proto``."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from importlib import resources
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import grpc
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc import error_details_pb2, status_pb2
from grpc_reflection.v1alpha import reflection
from grpc_status import rpc_status
from grpc_tools import protoc

FOLDER = Path(__file__).parent
Message = Any


@cache
def descriptor_set(*names: str) -> bytes:
    """Of these files, and what they import."""
    with TemporaryDirectory() as folder:
        out = Path(folder) / "set"
        paths = [str(FOLDER), str(resources.files("grpc_tools") / "_proto"), str(Path(status_pb2.__file__).parents[2])]
        includes = [f"-I{path}" for path in paths]
        code = protoc.main(["protoc", *includes, "--include_imports", f"--descriptor_set_out={out}", *names])
        assert code == 0
        return out.read_bytes()


@cache
def pool() -> descriptor_pool.DescriptorPool:
    pool = descriptor_pool.Default()
    for file in descriptor_pb2.FileDescriptorSet.FromString(descriptor_set("kitchen.proto", "old.proto")).file:
        try:
            pool.FindFileByName(file.name)
        except KeyError:
            pool.Add(file)
    return pool


def type_of(name: str) -> type[Message]:
    return message_factory.GetMessageClass(pool().FindMessageTypeByName(name))


def kitchen(name: str) -> type[Message]:
    return type_of(f"kitchen.v1.{name}")


class Kitchen:
    """Remembers what it was sent."""

    def __init__(self) -> None:
        self.seen: list[Message] = []
        self.go_on = threading.Event()
        self.cancelled = threading.Event()
        self.times: list[float] = []

    def Echo(self, request: Message, context: grpc.ServicerContext) -> Message:
        self.seen.append(request)
        context.send_initial_metadata((("x-before", "1"), ("x-binary-bin", b"\x00\xff")))
        context.set_trailing_metadata((("x-behind", "2"),))
        return request

    def _seen(self, method: str, request: Message, context: grpc.ServicerContext) -> Message:
        metadata = {key: value for key, value in context.invocation_metadata() if isinstance(value, str)}
        binary = {key: value.hex() for key, value in context.invocation_metadata() if isinstance(value, bytes)}
        left = context.time_remaining()
        seen = kitchen("Seen")(method=method, name=request.name, metadata=metadata | binary)
        seen.seconds_left = -1 if left is None else left
        return seen

    def GetShelf(self, request: Message, context: grpc.ServicerContext) -> Message:
        return self._seen("GetShelf", request, context)

    def GetBook(self, request: Message, context: grpc.ServicerContext) -> Message:
        return self._seen("GetBook", request, context)

    def Special(self, request: Message, context: grpc.ServicerContext) -> Message:
        return self._seen("Special", request, context)

    def Archive(self, request: Message, context: grpc.ServicerContext) -> Message:
        return self._seen(f"Archive {request.force}", request, context)

    def Purge(self, request: Message, context: grpc.ServicerContext) -> Message:
        return self._seen("Purge", request, context)

    def Anything(self, request: Message, context: grpc.ServicerContext) -> Message:
        return self._seen("Anything", request, context)

    def Plain(self, request: Message, context: grpc.ServicerContext) -> Message:
        return self._seen("Plain", request, context)

    def Update(self, request: Message, context: grpc.ServicerContext) -> Message:
        self.seen.append(request)
        return request.book

    def Authors(self, request: Message, context: grpc.ServicerContext) -> Message:
        return request

    def Failing(self, request: Message, context: grpc.ServicerContext) -> Message:
        context.set_trailing_metadata((("x-behind", "2"),))
        _fail(request, context)
        return kitchen("Number")()

    def FailingStream(self, request: Message, context: grpc.ServicerContext) -> Iterator[Message]:
        for number in range(request.after):
            yield kitchen("Number")(value=number)
        _fail(request, context)

    def Counting(self, request: Message, context: grpc.ServicerContext) -> Iterator[Message]:
        whole = threading.Event()
        context.add_callback(lambda: None if whole.is_set() else self.cancelled.set())
        for number in range(1, request.to + 1):
            yield kitchen("Number")(value=number, text=request.text)
            if number == request.pause_after:
                self.go_on.wait(30)
                self.go_on.clear()
        context.set_trailing_metadata((("x-behind", "2"),))
        whole.set()

    def Sum(self, requests: Iterable[Message], context: grpc.ServicerContext) -> Message:
        got = list(requests)
        return kitchen("Number")(value=sum(each.value for each in got), text=str(len(got)))

    def Chat(self, requests: Iterable[Message], context: grpc.ServicerContext) -> Iterator[Message]:
        for request in requests:
            yield kitchen("Number")(value=request.value * 2, text=request.text)

    def Download(self, request: Message, context: grpc.ServicerContext) -> Message:
        return type_of("google.api.HttpBody")(content_type="image/png", data=request.name.encode() + b"\x00\xff")

    def DownloadStream(self, request: Message, context: grpc.ServicerContext) -> Iterator[Message]:
        for number in range(3):
            kind = "text/csv" if number == 0 else ""
            yield type_of("google.api.HttpBody")(content_type=kind, data=f"{number},{request.name}\n".encode())

    def Upload(self, request: Message, context: grpc.ServicerContext) -> Message:
        text = f"{request.name} {request.content.content_type}"
        return kitchen("Number")(value=len(request.content.data), text=text)

    def UploadStream(self, requests: Iterable[Message], context: grpc.ServicerContext) -> Message:
        got = list(requests)
        text = f"{[each.name for each in got if each.name]} {got[0].content.content_type}"
        return kitchen("Number")(value=sum(len(each.content.data) for each in got), text=text)

    def Wait(self, request: Message, context: grpc.ServicerContext) -> Message:
        context.add_callback(self.cancelled.set)
        left = context.time_remaining()
        self.times.append(-1.0 if left is None else left)
        while context.is_active() and not self.go_on.is_set():
            time.sleep(0.01)
        return kitchen("Seen")()

    def Keep(self, request: Message, context: grpc.ServicerContext) -> Message:
        self.seen.append(request)
        return request

    Text = Keep

    def Renew(self, request: Message, context: grpc.ServicerContext) -> Message:
        newer = type_of("old.v1.Newer")(number=7, kind=5, kinds=[1, 5, 2], level_map={"a": 1, "b": 5})
        return type_of("old.v1.Old").FromString(newer.SerializeToString())


def _fail(request: Message, context: grpc.ServicerContext) -> None:
    if request.details:
        violation = error_details_pb2.BadRequest.FieldViolation(field="a.b", description="too small")
        bad = error_details_pb2.BadRequest(field_violations=[violation])
        status = status_pb2.Status(code=request.code, message=request.message)
        status.details.add().Pack(bad)
        status.details.append(AnyMessage(type_url="type.googleapis.com/nobody.knows.It", value=b"\x08\x01"))
        context.abort_with_status(rpc_status.to_status(status))
    if request.code:
        context.abort(next(code for code in grpc.StatusCode if code.value[0] == request.code), request.message)


def serve(
    kitchen: Kitchen,
    *,
    address: str = "127.0.0.1:0",
    reflect: bool = False,
    compression: grpc.Compression = grpc.Compression.NoCompression,
) -> tuple[grpc.Server, int]:
    server = grpc.server(ThreadPoolExecutor(16), compression=compression, options=[("grpc.so_reuseport", 0)])
    names = ["kitchen.v1.Kitchen", "old.v1.Archive"]
    for service in map(pool().FindServiceByName, names):
        handlers = {}
        for method in service.methods:
            client, answer = ("stream" if it else "unary" for it in (method.client_streaming, method.server_streaming))
            handlers[method.name] = getattr(grpc, f"{client}_{answer}_rpc_method_handler")(
                getattr(kitchen, method.name),
                request_deserializer=message_factory.GetMessageClass(method.input_type).FromString,
                response_serializer=message_factory.GetMessageClass(method.output_type).SerializeToString,
            )
        server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(service.full_name, handlers),))
    if reflect:
        reflection.enable_server_reflection([*names, reflection.SERVICE_NAME], server, pool=pool())
    port = server.add_insecure_port(address)
    server.start()
    return server, port
