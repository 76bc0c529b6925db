"""A service that takes its time, says how long its answers are fresh, and counts what it is asked for."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Origin(ThreadingHTTPServer):
    """The content of an answer is the number of the call for its path, in 34 bytes."""

    daemon_threads = True
    request_queue_size = 1024

    def __init__(self, fresh: str, delay_s: float = 0.0) -> None:
        """``fresh`` is the answers' ``Cache-Control``; each comes after ``delay_s``, and none before ``release``."""
        super().__init__(("127.0.0.1", 0), _Call)
        self.fresh, self.delay_s = fresh, delay_s
        self.calls: Counter[str] = Counter()
        self.release = threading.Event()
        self.release.set()
        self._lock = threading.Lock()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    def called(self, path: str) -> int:
        with self._lock:
            self.calls[path] += 1
            return self.calls[path]


class _Call(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Origin
    wbufsize = -1  # head and content in one write

    def do_GET(self) -> None:
        number = self.server.called(self.path)
        threading.Event().wait(self.server.delay_s)
        self.server.release.wait(60)
        content = numbered(number)
        self.send_response(200)
        self.send_header("Cache-Control", self.server.fresh)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Nothing is logged."""


def numbered(number: int) -> bytes:
    return b"%034d" % number


@contextmanager
def origin(fresh: str, delay_s: float = 0.0) -> Iterator[Origin]:
    """Serves in threads of this program until the block ends."""
    with Origin(fresh, delay_s) as running:
        thread = threading.Thread(target=running.serve_forever, daemon=True)
        thread.start()
        try:
            yield running
        finally:
            running.release.set()
            running.shutdown()
            thread.join()
