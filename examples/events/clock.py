"""Ticks as server-sent events until the client goes, and a page that is worth compressing."""

from __future__ import annotations

import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PAGE = "<p>Every line of this page is the same.</p>\n" * 500
PAUSE_S = 0.2


class Clock(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        if self.path == "/page":
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(PAGE)))
            self.end_headers()
            self.wfile.write(PAGE.encode())
            return
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        number = 0
        try:
            while True:
                self.wfile.write(f"data: tick {number}\n\n".encode())
                self.wfile.flush()
                number += 1
                time.sleep(PAUSE_S)
        except OSError:
            return

    def log_message(self, format: str, *arguments: object) -> None:
        """Quiet."""


def start(port: int) -> ThreadingHTTPServer:
    return ThreadingHTTPServer(("127.0.0.1", port), Clock)


if __name__ == "__main__":
    with start(int(sys.argv[1]) if len(sys.argv) > 1 else 8765) as server:
        server.serve_forever()
