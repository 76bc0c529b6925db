"""The shop of the example, which implements the newest version alone: `python versioned_shop.py [PORT]`."""

from __future__ import annotations

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

TEA = {"sku": "tea", "title": "Tea", "price": {"amount": 450, "currency": "EUR"}}


class Shop(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/items/tea":
            self.answer(200, TEA)
        elif self.path == "/changes":
            self.send(200, "text/event-stream", f"id: 1\ndata: {json.dumps(TEA)}\n\n".encode())
        else:
            self.answer(404, {"code": "unknown_item", "message": "no such item"})

    def do_POST(self) -> None:
        item = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if not isinstance(item.get("price"), dict):
            self.answer(422, {"code": "no_price", "message": "an item has a price"})
        else:
            self.answer(201, item)

    def answer(self, status: int, value: Any) -> None:
        self.send(status, "application/json", json.dumps(value).encode())

    def send(self, status: int, kind: str, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *arguments: object) -> None:
        pass


def serve(port: int = 8081) -> ThreadingHTTPServer:
    return ThreadingHTTPServer(("127.0.0.1", port), Shop)


if __name__ == "__main__":
    serve(*map(int, sys.argv[1:])).serve_forever()
