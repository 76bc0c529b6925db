"""``shop.Stock``, without generated code: a message is its bytes. ``python stock.py [ADDRESS]`` serves it.

``Get`` is unary, ``Sum`` takes a stream, ``List`` answers with one, ``Chat`` does both at once. ``Wait`` does not
answer for a minute, nor does ``Stall`` after its first message.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import grpc


@dataclass
class Stock:
    """Remembers what tests want to know of its calls."""

    metadata: list[dict[str, str]] = field(default_factory=list)
    remaining: list[float] = field(default_factory=list)
    cancelled: threading.Event = field(default_factory=threading.Event)
    waiting: threading.Event = field(default_factory=threading.Event)

    def forget(self) -> None:
        self.metadata.clear()
        self.remaining.clear()
        self.cancelled.clear()
        self.waiting.clear()

    def get(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        self.metadata.append({key: str(value) for key, value in context.invocation_metadata()})
        context.send_initial_metadata((("x-before", "1"),))
        context.set_trailing_metadata((("x-after", "2"), ("x-binary-bin", b"\x00\xff")))
        if request == b"missing":
            context.abort(grpc.StatusCode.NOT_FOUND, "100 % gone: 'ä'")
        return request

    def sum(self, requests: Iterator[bytes], context: grpc.ServicerContext) -> bytes:
        return str(sum(len(request) for request in requests)).encode()

    def list(self, request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        for index in range(int(request)):
            yield f"item {index}".encode()

    def chat(self, requests: Iterator[bytes], context: grpc.ServicerContext) -> Iterator[bytes]:
        for request in requests:
            yield request.upper()

    def wait(self, request: bytes, context: grpc.ServicerContext) -> bytes:
        self.remaining.append(context.time_remaining() or 0)
        ended = threading.Event()

        def end() -> None:
            self.cancelled.set()
            ended.set()

        context.add_callback(end)
        self.waiting.set()
        ended.wait(60)
        return b""

    def stall(self, request: bytes, context: grpc.ServicerContext) -> Iterator[bytes]:
        yield b"first"
        self.wait(request, context)


def serve(
    stock: Stock, address: str = "127.0.0.1:0", credentials: grpc.ServerCredentials | None = None
) -> tuple[grpc.Server, int]:
    """A running server and its port. Over TLS with credentials."""
    server = grpc.server(ThreadPoolExecutor(32), options=[("grpc.max_receive_message_length", -1)])
    methods = {
        "Get": grpc.unary_unary_rpc_method_handler(stock.get),
        "Sum": grpc.stream_unary_rpc_method_handler(stock.sum),
        "List": grpc.unary_stream_rpc_method_handler(stock.list),
        "Chat": grpc.stream_stream_rpc_method_handler(stock.chat),
        "Wait": grpc.unary_unary_rpc_method_handler(stock.wait),
        "Stall": grpc.unary_stream_rpc_method_handler(stock.stall),
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler("shop.Stock", methods),))
    port = server.add_insecure_port(address) if credentials is None else server.add_secure_port(address, credentials)
    server.start()
    return server, port


if __name__ == "__main__":
    running, _ = serve(Stock(), sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:50051")
    running.wait_for_termination()
