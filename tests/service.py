"""A service over real sockets that does as its paths say, and remembers every request."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections import Counter
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import unquote

Json = Any


@dataclass(frozen=True)
class Seen:
    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Json:
        return json.loads(self.body)

    @property
    def key(self) -> str:
        return self.headers["idempotency-key"]


class Service:
    """``/status/N`` answers N · ``/hang`` answers once ``release`` is called · ``/drop`` reads and hangs up ·
    ``/fail/K/...`` answers 500 the first K times for each path · ``/text`` and ``/broken`` answer text and bad JSON ·
    ``/says/TEXT`` answers that text, percent-encoded, as JSON ·
    anything else answers 200 with ``{"path": …, "number": …}``."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self.requests: list[Seen] = []
        self._lock = threading.Lock()
        self._released = threading.Event()
        self._counts: Counter[str] = Counter()
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_: object) -> None:
                pass

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                number = service.remember(Seen(self.command, self.path, headers, body))
                status, kind, content = service.decide(self.path, number)
                if status == 0:
                    self.close_connection = True
                    return
                self.send_response(status)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = answer

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 256

            def handle_error(self, *_: object) -> None:
                pass  # A gateway that is killed leaves broken connections behind.

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        self.url = f"{'http' if tls is None else 'https'}://127.0.0.1:{self.port}"
        if tls is not None:
            # Each handshake in its request's own thread.
            self._server.socket = tls.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._released.set()
        self._server.shutdown()
        self._server.server_close()

    def remember(self, seen: Seen) -> int:
        with self._lock:
            self.requests.append(seen)
            self._counts[seen.path] += 1
            return self._counts[seen.path]

    def decide(self, path: str, number: int) -> tuple[int, str, bytes]:
        words = path.partition("?")[0].split("/")
        if words[1] == "status":
            return int(words[2]), "application/json", json.dumps({"title": "as told", "detail": path}).encode()
        if words[1] == "hang":
            self._released.wait(60)
        if words[1] == "drop":
            return 0, "", b""
        if words[1] == "fail" and number <= int(words[2]):
            return 500, "application/json", b"{}"
        if words[1] == "text":
            return 200, "text/plain; charset=utf-8", "grüß dich".encode()
        if words[1] == "says":
            return 200, "application/json", unquote(words[2]).encode()
        if words[1] == "broken":
            return 200, "application/json", b"{"
        return 200, "application/json", json.dumps({"path": path, "number": number}).encode()

    def release(self) -> None:
        self._released.set()

    def hold(self) -> None:
        """From now on ``/hang`` hangs again."""
        self._released.clear()

    def to(self, prefix: str) -> list[Seen]:
        with self._lock:
            return [seen for seen in self.requests if seen.path.startswith(prefix)]

    def await_request(self, prefix: str, count: int = 1, within_s: float = 30) -> list[Seen]:
        end = time.monotonic() + within_s
        while len(found := self.to(prefix)) < count:
            assert time.monotonic() < end, f"{len(found)} of {count} requests to {prefix} within {within_s} s"
            time.sleep(0.005)
        return found
