"""``python -m stagedoor.demo.serve FOLDER``: every service in a process of its own, ledgers in FOLDER.

Prints one line of JSON, ``{service: [port, process]}``, when all accept connections. All end with SIGTERM, or when
standard input ends: so they never outlive whoever started them.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from stagedoor.demo.service import app
from stagedoor.demo.services import SERVICES


class _Connection(H11Protocol):
    """Shows requests their transport, so that a service can drop the connection."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        inner = self.app

        async def with_transport(scope: Any, receive: Any, send: Any) -> None:
            scope["transport"] = transport
            await inner(scope, receive, send)

        self.app = with_transport


def main(arguments: list[str]) -> int:
    folder = Path(arguments[0])
    folder.mkdir(parents=True, exist_ok=True)
    ports: dict[str, tuple[socket.socket, int]] = {}
    for name in SERVICES:
        # With the protocol named, asyncio sets TCP_NODELAY; without it answers wait for delayed acknowledgements.
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.bind(("127.0.0.1", 0))
        listener.listen(1024)
        ports[name] = listener, listener.getsockname()[1]
    # Everything is imported once and shared by all eight: they start together, and in a fifth of the memory.
    alive, lifeline = os.pipe()
    processes = {}
    for name, (listener, _) in ports.items():
        processes[name] = os.fork()
        if processes[name] == 0:
            os.close(lifeline)
            for other, (theirs, _) in ports.items():
                if other != name:
                    theirs.close()
            code = 1
            try:
                _serve(name, listener, folder / f"{name}.db", alive)
                code = 0
            finally:
                os._exit(code)
    for listener, _ in ports.values():
        listener.close()
    print(json.dumps({name: [port, processes[name]] for name, (_, port) in ports.items()}), flush=True)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while os.read(sys.stdin.fileno(), 4096):
        pass
    return 0  # and with this process ends the lifeline


def _serve(name: str, listener: socket.socket, ledger: Path, alive: int) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    config = uvicorn.Config(
        app(SERVICES[name], ledger),
        http=_Connection,
        ws="none",
        loop="asyncio",
        lifespan="off",
        access_log=False,
        log_level="critical",
        # Longer than the gateway keeps idle connections, so that the gateway is the one to close them.
        timeout_keep_alive=75,
    )

    async def run() -> None:
        asyncio.get_running_loop().add_reader(alive, os._exit, 0)
        await uvicorn.Server(config).serve(sockets=[listener])

    asyncio.run(run())


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
