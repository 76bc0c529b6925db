"""``stagedoor demo``: the shop example with its services, and a guided tour through it."""

from __future__ import annotations

import argparse
import signal
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from types import FrameType

from stagedoor.cli.output import say
from stagedoor.cli.tour import KEY, Tour
from stagedoor.demo.processes import SHOP, Gateway, Services
from stagedoor.errors import StagedoorError

NAME = "demo"
HELP = "start the shop example, its services included, and walk through it"
HOST = "127.0.0.1"


class PortTaken(StagedoorError):
    """Somebody else listens where the demo wants to."""


class DemoIncomplete(StagedoorError):
    """The extra that the services need is not installed."""


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--tour", action="store_true", help="end after the tour: 0 if every step did what it says, else 1"
    )
    parser.add_argument("--port", type=int, default=8080, metavar="N", help="of the gateway; 0 is any (default: 8080)")
    parser.add_argument("--admin-port", type=int, default=9901, metavar="N", help="likewise (default: 9901)")


def run(arguments: argparse.Namespace) -> int:
    if find_spec("uvicorn") is None or find_spec("starlette") is None:
        raise DemoIncomplete("the services of the example need an extra: pip install 'stagedoor[demo]'")
    _look(arguments.port, "--port")
    _look(arguments.admin_port, "--admin-port")
    # SIGINT too: who was started in the background by a shell inherits that it is ignored.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    told = False
    try:
        with tempfile.TemporaryDirectory(prefix="stagedoor-demo-") as folder, _running(Path(folder), arguments) as both:
            services, gateway = both
            succeeded = Tour(services, gateway).walk()
            if arguments.tour:
                return 0 if succeeded else 1
            told = True
            for line in _try(gateway):
                say(line)
            gateway.popen.wait()
            raise StagedoorError(f"the gateway ended by itself\n{gateway.said()}")
    except KeyboardInterrupt:
        say("\nended")
        return 0 if told else 130


@contextmanager
def _running(folder: Path, arguments: argparse.Namespace) -> Iterator[tuple[Services, Gateway]]:
    say("starting eight services and the gateway …")
    with Services(folder / "ledgers") as services:
        environment = {
            **services.environment,
            "SHOP_BIND": f"{HOST}:{arguments.port}",
            "SHOP_ADMIN": f"{HOST}:{arguments.admin_port}",
            "SHOP_STORE": str(folder / "shop.db"),
            "SHOP_ACCESS_LOG": str(folder / "access.log"),
        }
        with Gateway(SHOP / "stagedoor.yaml", environment, folder) as gateway:
            try:
                yield services, gateway.ready()
            finally:
                # A second Ctrl-C must not leave half of the processes behind.
                for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
                    signal.signal(number, signal.SIG_IGN)


def _look(port: int, option: str) -> None:
    """The gateway shares its ports among its workers, so it would share them with a stranger that allows it too."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            raise PortTaken(f"port {port} of {HOST} is taken: choose another with {option}, 0 for any") from None


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _try(gateway: Gateway) -> Iterator[str]:
    shop, curl = f"http://{gateway.address}", f"  curl -H 'x-api-key: {KEY}'"

    def order(card: str) -> str:
        return f"""--json '{{"sku": "mug", "quantity": 1, "card": "{card}"}}' {shop}/v1/orders"""

    yield "\nIt stays up until Ctrl-C. Try:"
    yield f"{curl} {shop}/v1/items/mug"
    yield f"{curl} {order('4242')}"
    yield f"{curl} {order('lost-answer')}    # charged once all the same"
    yield f"{curl} -i -H 'prefer: respond-async' {order('slow')}"
    yield f"  stagedoor executions list --admin http://{gateway.admin}"
    yield f"  curl http://{gateway.admin}/metrics"
    yield f"The configuration and the workflows: {SHOP}"
