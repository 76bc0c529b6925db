"""A gateway as a process of its own, and requests to it."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

Json = Any
T = TypeVar("T")


@dataclass(frozen=True)
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Json:
        return json.loads(self.body)


def until(look: Callable[[], T], within_s: float = 30) -> T:
    """What ``look`` returns as soon as it is true."""
    end = time.monotonic() + within_s
    while not (found := look()):
        assert time.monotonic() < end, f"not within {within_s} s"
        time.sleep(0.01)
    return found


class Gateway:
    """``stagedoor run`` in a folder that has a ``stagedoor.yaml``; stderr goes to ``log`` there. The files of a
    ``standby`` are named after it, and ``serves`` waits until it does."""

    def __init__(
        self,
        folder: Path,
        *,
        environment: dict[str, str] | None = None,
        drain: str = "20s",
        standby: str | None = None,
    ) -> None:
        self.folder = folder
        self.log_file = folder / f"{standby or ''}log"
        self._addresses = addresses = folder / f"{standby or ''}addresses.json"
        addresses.unlink(missing_ok=True)
        self._log = self.log_file.open("ab")
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "stagedoor",
                "run",
                "stagedoor.yaml",
                "--addresses",
                str(addresses),
                "--drain",
                drain,
                *(() if standby is None else ("--standby",)),
            ],
            cwd=folder,
            env={**os.environ, **(environment or {})},
            stdout=self._log,
            stderr=self._log,
        )
        self.addresses: Json = {}
        if standby is None:
            self.serves()

    def serves(self) -> None:
        """Wait until it does, or has ended."""
        until(lambda: self._addresses.exists() or self.process.poll() is not None, 60)
        self.addresses = json.loads(self._addresses.read_text()) if self._addresses.exists() else {}

    @property
    def log(self) -> str:
        return self.log_file.read_text()

    @property
    def admin_url(self) -> str:
        return f"http://{self.addresses['admin']}"

    def request(self, method: str, path: str, body: Json = None, headers: dict[str, str] | None = None) -> Answer:
        assert self.addresses, self.log
        return request(next(iter(self.addresses["listeners"].values())), method, path, body, headers)

    def admin(self, path: str, method: str = "GET", body: Json = None, headers: dict[str, str] | None = None) -> Answer:
        assert self.addresses, self.log
        return request(self.addresses["admin"], method, path, body, headers)

    def metrics(self) -> str:
        return self.admin("/metrics").body.decode()

    def signal(self, number: int) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait(30)
        self._log.close()

    def end(self) -> int:
        """Drain; the exit code."""
        self.signal(signal.SIGTERM)
        return self.process.wait(60)


def request(
    address: str,
    method: str,
    path: str,
    body: Json = None,
    headers: dict[str, str] | None = None,
    *,
    escape: bool = True,
) -> Answer:
    connection = http.client.HTTPConnection(address, timeout=60)
    try:
        content = None if body is None else json.dumps(body, ensure_ascii=escape).encode()
        fields = {**({} if content is None else {"content-type": "application/json"}), **(headers or {})}
        connection.request(method, path, content, fields)
        response = connection.getresponse()
        answered = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, answered, response.read())
    finally:
        connection.close()
