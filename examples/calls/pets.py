"""Pets on http://127.0.0.1:8765, or on the port given: they are found by anyone, added with a key, and take notices."""

import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Pets(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.answer(200, [{"name": "Milou", "status": "available"}])

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.path == "/pets" and not self.headers.get("authorization", "").startswith("Bearer "):
            self.answer(401, {"title": "Without a key no pets are added"})
        else:
            self.answer(201, body)

    def answer(self, status: int, value: object) -> None:
        content = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)


ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1]) if len(sys.argv) > 1 else 8765), Pets).serve_forever()
