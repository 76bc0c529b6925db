"""The old service of the example: `python legacy.py [PORT]`."""

from __future__ import annotations

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

EVENTS = b'data: {"kind": "ping"}\n\nid: 1\ndata: {"kind": "order", "time": 7, "internal": true}\n\n'


class Legacy(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"])).decode()
        if "<sku>tea</sku>" in content:
            self.answer(200, "text/xml", b'<receipt no="17"><card>4111111111111111</card></receipt>')
        else:
            self.answer(422, "text/html", b"<h1>java.lang.Exception</h1>")

    def do_GET(self) -> None:
        self.answer(200, "text/event-stream", EVENTS)

    def answer(self, status: int, kind: str, content: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *arguments: object) -> None:
        pass


def serve(port: int = 8081) -> ThreadingHTTPServer:
    return ThreadingHTTPServer(("127.0.0.1", port), Legacy)


if __name__ == "__main__":
    serve(*map(int, sys.argv[1:])).serve_forever()
