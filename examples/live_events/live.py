"""Prices as server-sent events at one port, scores over WebSocket at another: ``python live.py [PRICES SCORES]``.

A client that comes back with ``Last-Event-ID`` goes on behind the price that it had last. Scores begin anew.
"""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.exceptions import ConnectionClosed

PAUSE_S = 0.1


class Prices(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        number = int(self.headers.get("Last-Event-ID", "0"))
        with suppress(OSError):
            while True:
                number += 1
                price = json.dumps({"sku": "mug", "price": 1000 + number})
                self.wfile.write(f"event: price\nid: {number}\ndata: {price}\n\n".encode())
                time.sleep(PAUSE_S)

    def log_message(self, format: str, *arguments: object) -> None:
        """Quiet."""


async def scores(connection: ServerConnection) -> None:
    home = 0
    with suppress(ConnectionClosed):
        while True:
            home += 1
            await connection.send(json.dumps({"home": home, "away": 0}))
            await asyncio.sleep(PAUSE_S)


def start_prices(port: int) -> ThreadingHTTPServer:
    server = ThreadingHTTPServer(("127.0.0.1", port), Prices)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


async def start_scores(port: int) -> Server:
    return await serve(scores, "127.0.0.1", port)


async def main(prices_port: int, scores_port: int) -> None:
    start_prices(prices_port)
    server = await start_scores(scores_port)
    await server.serve_forever()


if __name__ == "__main__":
    ports = [int(port) for port in sys.argv[1:]] or [8771, 8772]
    with suppress(KeyboardInterrupt):
        asyncio.run(main(*ports))
