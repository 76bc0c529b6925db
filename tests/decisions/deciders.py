"""Authorizers as their protocol documents them: over gRPC by Envoy's own published messages, and over HTTP."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from concurrent import futures
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import grpc
from envoy.service.auth.v3.external_auth_pb2 import CheckRequest, CheckResponse
from google.protobuf.unknown_fields import UnknownFieldSet

Decide = Callable[[CheckRequest], CheckResponse | bytes | grpc.StatusCode]


class GrpcAuthorizer:
    """Decides as ``decide`` says: a response, the bytes of one, or a failure. Remembers what it was asked."""

    def __init__(self, decide: Decide) -> None:
        self.decide = decide
        self.asked: list[CheckRequest] = []
        self.deadlines: list[float | None] = []
        self._server = grpc.server(futures.ThreadPoolExecutor(4))
        handler = grpc.unary_unary_rpc_method_handler(self._check)
        service = grpc.method_handlers_generic_handler("envoy.service.auth.v3.Authorization", {"Check": handler})
        self._server.add_generic_rpc_handlers((service,))
        self.port = self._server.add_insecure_port("127.0.0.1:0")

    def _check(self, message: bytes, context: grpc.ServicerContext) -> bytes:
        request = CheckRequest.FromString(message)
        # A field that its messages do not have, or of another type, would be left over.
        assert not len(UnknownFieldSet(request))
        self.asked.append(request)
        self.deadlines.append(context.time_remaining())
        answer = self.decide(request)
        if isinstance(answer, grpc.StatusCode):
            context.abort(answer, "it does not know")
        return answer if isinstance(answer, bytes) else answer.SerializeToString()

    def __enter__(self) -> GrpcAuthorizer:
        self._server.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.stop(None).wait()


@contextmanager
def http_server(
    answer: Callable[[str, str, dict[str, str], bytes], tuple[int, list[tuple[str, str]], bytes]],
) -> Iterator[int]:
    """Answers with what ``answer`` makes of method, target, fields and content; its port."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_one_request(self) -> None:
            self.raw_requestline = self.rfile.readline(65537)
            if not self.raw_requestline or not self.parse_request():
                self.close_connection = True
                return
            fields = {name.lower(): value for name, value in self.headers.items()}
            content = self.rfile.read(int(fields.get("content-length", 0)))
            status, headers, body = answer(self.command, self.path, fields, content)
            self.send_response(status)
            for name, value in headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body if self.command != "HEAD" else b"")

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()


def told(method: str, target: str, fields: dict[str, str], content: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
    """A service that tells what it got."""
    body = {"method": method, "target": target, "fields": fields, "content": content.decode("latin-1")}
    return (
        200,
        [("Content-Type", "application/json"), ("X-Own", "service"), ("X-Late", "of the service")],
        json.dumps(body).encode(),
    )
