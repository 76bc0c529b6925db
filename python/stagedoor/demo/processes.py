"""The example's processes: started, waited for on a condition, and ended without leaving any behind."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from stagedoor.errors import StagedoorError

Json = Any

SHOP = Path(__file__).parent / "shop"
START_S = 60.0
"""How long a process may take until it serves."""
END_S = 45.0
"""How long it may take to end: longer than the gateway's own time to drain."""


class NotReady(StagedoorError):
    """A process of the example ended, or did not serve in time."""


def until(condition: Callable[[], Json], what: str, seconds: float = START_S) -> Json:
    """The condition's first truthy value. Raises NotReady after ``seconds``."""
    end = time.monotonic() + seconds
    while not (value := condition()):
        if time.monotonic() > end:
            raise NotReady(f"{what} took more than {seconds:g} seconds")
        time.sleep(0.01)
    return value


class Process:
    """A child in a process group of its own, so that Ctrl-C on a terminal reaches only whoever started it."""

    def __init__(self, arguments: list[str], environment: Mapping[str, str], **streams: Any) -> None:
        self.popen = subprocess.Popen(
            [sys.executable, "-m", *arguments], env={**os.environ, **environment}, process_group=0, **streams
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.end()

    @property
    def running(self) -> bool:
        return self.popen.poll() is None

    def end(self) -> int:
        """SIGTERM, and SIGKILL for one that does not heed it; the exit code."""
        if self.running:
            self.popen.terminate()
            try:
                self.popen.wait(END_S)
            except subprocess.TimeoutExpired:
                self.popen.kill()
        return self.popen.wait()

    def kill(self) -> None:
        """As if the machine had lost it: no chance to tidy up."""
        self.popen.send_signal(signal.SIGKILL)
        self.popen.wait()


class Services(Process):
    """All eight, each a process of its own; their ledgers lie in ``folder``."""

    def __init__(self, folder: Path) -> None:
        super().__init__(
            ["stagedoor.demo.serve", str(folder)], {}, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        stdout: IO[str] | None = self.popen.stdout
        line = stdout.readline() if stdout is not None else ""
        if not line:
            raise NotReady(f"the services ended with exit code {self.end()}; the extra 'demo' is needed for them")
        self.ports: dict[str, int] = {name: port for name, (port, _) in json.loads(line).items()}

    @property
    def environment(self) -> dict[str, str]:
        """What the example's configuration reads."""
        return {f"SHOP_{name.upper()}": f"127.0.0.1:{port}" for name, port in self.ports.items()}

    def end(self) -> int:
        with contextlib.suppress(BrokenPipeError):
            for stream in (self.popen.stdin, self.popen.stdout):
                if stream is not None:
                    stream.close()
        # They end with their standard input; the signal is for one that does not.
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.popen.wait(END_S)
        return super().end()

    def ask(self, service: str, method: str, path: str, body: Json = None) -> Json:
        """A service's answer to a request that does not go through the gateway."""
        status, _, answer = request(f"127.0.0.1:{self.ports[service]}", method, path, body)
        if status >= 400:
            raise NotReady(f"{service} answered {method} {path} with {status}")
        return answer

    def fault(self, service: str, **fault: Json) -> None:
        """Make a service fail, as ``fault.Fault`` says."""
        self.ask(service, "POST", "/faults", fault)

    def clear(self) -> None:
        for name in self.ports:
            self.ask(name, "DELETE", "/faults")

    def ledger(self, service: str) -> Json:
        return self.ask(service, "GET", "/ledger")


class Gateway(Process):
    """``stagedoor run``. ``log`` gets what it says; the bound addresses are known once it serves."""

    def __init__(self, config: Path, environment: Mapping[str, str], folder: Path) -> None:
        self._folder = folder
        self.log = folder / "gateway.log"
        self._addresses = folder / "addresses.json"
        self._addresses.unlink(missing_ok=True)
        with self.log.open("ab") as log:
            arguments = ["stagedoor", "run", str(config), "--addresses", str(self._addresses)]
            super().__init__(arguments, environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self.address = self.admin = ""

    def ready(self) -> Self:
        """Wait until it serves. Raises NotReady with the end of its log if it ended instead."""
        until(lambda: self._addresses.exists() or not self.running, "the gateway's start")
        if not self._addresses.exists():
            raise NotReady(f"the gateway ended with exit code {self.popen.returncode}\n{self.said()}")
        addresses = json.loads(self._addresses.read_text("utf-8"))
        self.address, self.admin = next(iter(addresses["listeners"].values())), addresses["admin"]
        return self

    def said(self) -> str:
        """The end of its log."""
        return "\n".join(self.log.read_text("utf-8", "replace").splitlines()[-20:])


def request(
    address: str,
    method: str,
    path: str,
    body: Json = None,
    headers: Mapping[str, str] | None = None,
    timeout: float = 30,
) -> tuple[int, dict[str, str], Json]:
    """One request on a connection of its own: status, headers in lower case, and the body, parsed where it is JSON."""
    connection = http.client.HTTPConnection(address, timeout=timeout)
    try:
        sent = {"content-type": "application/json", **(headers or {})}
        connection.request(method, path, None if body is None else json.dumps(body), sent)
        response = connection.getresponse()
        data = response.read()
        fields = {name.lower(): value for name, value in response.getheaders()}
        is_json = "json" in fields.get("content-type", "")
        return response.status, fields, json.loads(data) if is_json and data else data.decode("utf-8", "replace")
    finally:
        connection.close()
