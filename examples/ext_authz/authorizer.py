"""An authorizer in the HTTP form of Envoy's external authorization: tenants may read, and `blue` may write."""

from __future__ import annotations

import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Authorizer(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def decide(self) -> None:
        tenant = self.headers.get("x-tenant")
        if tenant is None:
            self.answer(302, {"Location": "https://login.example/"})
        elif self.command in ("GET", "HEAD") or tenant == "blue":
            self.answer(200, {"X-Decided-By": "the authorizer"})
        else:
            self.answer(403, {"Content-Type": "text/plain"}, b"only blue may write\n")

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = decide

    def answer(self, status: int, fields: dict[str, str], content: bytes = b"") -> None:
        self.send_response(status)
        for name, value in fields.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *_: object) -> None: ...


def start(port: int) -> ThreadingHTTPServer:
    return ThreadingHTTPServer(("127.0.0.1", port), Authorizer)


if __name__ == "__main__":
    start(int(sys.argv[1]) if len(sys.argv) > 1 else 9002).serve_forever()
