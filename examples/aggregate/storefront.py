"""The services of the example, all in one: `python storefront.py [PORT]`."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

ANSWERS: dict[str, Any] = {
    "/customers/7": {"name": "Zoë", "city": "Basel", "secret": "hers"},
    "/orders?customer=7": [{"sku": "tea", "open": True}, {"sku": "cup", "open": False}],
    "/items/tea": {"name": "Green tea", "price": 4.50},
    "/items/cup": {"name": "Cup", "price": 7},
}


class Shop(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        found = self.path in ANSWERS
        # Nobody gives advice yet: the web page does without it.
        content = json.dumps(ANSWERS.get(self.path)).encode() if found else b""
        self.send_response(200 if found else 503 if self.path.startswith("/advice/") else 404)
        self.send_header("Content-Type", "application/json")
        self.send_header("Cache-Control", "max-age=60")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def handle(self) -> None:
        # The gateway breaks off calls whose answers nobody waits for any more.
        with suppress(ConnectionError):
            super().handle()

    def log_message(self, format: str, *arguments: object) -> None:
        pass


def serve(port: int = 8081) -> ThreadingHTTPServer:
    return ThreadingHTTPServer(("127.0.0.1", port), Shop)


if __name__ == "__main__":
    serve(*map(int, sys.argv[1:])).serve_forever()
