"""A service of server-sent events that plays what a test has written."""

from __future__ import annotations

import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Send = Callable[[bytes], None]
Play = Callable[[BaseHTTPRequestHandler, Send], None]


class Playing:
    """``play`` is called for each request, with what it asks and how to send bytes; the stream ends when it returns.
    ``Broken`` breaks the stream off."""

    def __init__(self) -> None:
        self.forget()
        playing = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                playing.asked.append({name.lower(): value for name, value in self.headers.items()})
                playing.paths.append(self.path)
                self.close_connection = True
                self.send_response(200)
                self.send_header("content-type", "text/event-stream")
                self.send_header("transfer-encoding", "chunked")
                self.end_headers()

                def send(data: bytes) -> None:
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(data), data))

                try:
                    playing.play(self, send)
                    self.wfile.write(b"0\r\n\r\n")
                except OSError:
                    playing.gone.set()
                except Broken:
                    pass

            def log_message(self, format: str, *arguments: object) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def forget(self) -> None:
        self.play: Play = lambda request, send: None
        self.asked: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.gone = threading.Event()

    def stop(self) -> None:
        self.server.shutdown()
        self.server.server_close()


class Broken(Exception):
    """The stream breaks off."""
