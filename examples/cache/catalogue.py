"""A catalogue in memory that counts how often it is asked: ``python catalogue.py [PORT]``."""

from __future__ import annotations

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Catalogue(ThreadingHTTPServer):
    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.items: dict[str, bytes] = {}
        self.asked = 0


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Catalogue

    def do_GET(self) -> None:
        self.server.asked += 1
        item = self.server.items.get(self.path.partition("?")[0])
        self._answer(404 if item is None else 200, item or b"no such item\n")

    def do_PUT(self) -> None:
        self.server.items[self.path] = self.rfile.read(int(self.headers["content-length"]))
        self._answer(204, b"")

    def _answer(self, status: int, body: bytes) -> None:
        self.send_response(status)
        if body:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments: object) -> None:
        pass


if __name__ == "__main__":
    Catalogue(int(sys.argv[1]) if len(sys.argv) > 1 else 9101).serve_forever()
