"""The shop as a test sees it: services and gateway as processes, and what the ledgers say became of an order."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections import defaultdict
from http.client import HTTPException
from pathlib import Path
from typing import Any

from stagedoor.demo.processes import SHOP, Gateway, Services, request, until

Json = Any

WEB, PARTNER = "web-key-that-nobody-may-read", "partner-key-that-nobody-may-read"
ORDER = {"sku": "mug", "quantity": 2, "card": "4242"}
DECLINED = ORDER | {"card": "declined"}
USER = {"email": "ada@example.com", "name": "Ada"}
ORDER_SERVICES = ("inventory", "payment", "shipping", "notification")
USER_SERVICES = ("identity", "profile", "roles", "mail")


class Shop:
    """``folder`` holds the store, the logs, and a copy of the configuration that a test may change."""

    def __init__(self, services: Services, folder: Path) -> None:
        self.services, self.folder = services, folder
        self.config = folder / "stagedoor.yaml"
        self.store = folder / "shop.db"
        self.access_log = folder / "access.log"
        self.gateway: Gateway | None = None
        self.write((SHOP / "stagedoor.yaml").read_text())
        with contextlib.suppress(FileExistsError):
            (folder / "workflows").symlink_to(SHOP / "workflows")

    def write(self, text: str) -> None:
        # Renamed into place: the gateway, which looks for changes, never sees a half.
        part = self.folder / "part"
        part.write_text(text)
        part.replace(self.config)

    def replace(self, old: str, new: str) -> None:
        text = self.config.read_text()
        assert old in text
        self.write(text.replace(old, new))

    # The gateway's life.

    def start(self, **environment: str) -> Gateway:
        """Start without waiting: a gateway that is to crash may never get as far as to serve."""
        self.gateway = Gateway(
            self.config,
            {
                **self.services.environment,
                "SHOP_BIND": "127.0.0.1:0",
                "SHOP_ADMIN": "127.0.0.1:0",
                "SHOP_STORE": str(self.store),
                "SHOP_ACCESS_LOG": str(self.access_log),
                "SHOP_WEB_KEY": WEB,
                "SHOP_PARTNER_KEY": PARTNER,
                **environment,
            },
            self.folder,
        )
        return self.gateway

    def open(self, **environment: str) -> Gateway:
        return self.start(**environment).ready()

    def kill(self) -> None:
        if self.gateway is not None:
            self.gateway.kill()

    @property
    def address(self) -> str:
        assert self.gateway is not None
        return self.gateway.address

    @property
    def log(self) -> str:
        assert self.gateway is not None
        return self.gateway.log.read_text()

    # Asking the gateway.

    def ask(
        self, method: str, path: str, body: Json = None, key: str | None = WEB, **headers: str
    ) -> tuple[int, dict[str, str], Json]:
        fields = {name.replace("_", "-"): value for name, value in headers.items()}
        return request(self.address, method, path, body, fields | ({"x-api-key": key} if key else {}))

    def admin(self, path: str, method: str = "GET", body: Json = None) -> tuple[int, Json]:
        assert self.gateway is not None
        status, _, answer = request(self.gateway.admin, method, path, body)
        return status, answer

    def execution(self, id: str) -> Json:
        return self.admin(f"/executions/{id}")[1]

    def ended(self, id: str) -> Json:
        """The execution, once it has ended."""

        def look() -> Json:
            shown = self.execution(id)
            return shown if shown["status"] not in ("running", "suspended") else None

        return until(look, f"the end of execution {id}")

    def executions(self, workflow: str = "shop/order") -> list[Json]:
        """At most 500."""
        listed: list[Json] = self.admin(f"/executions?workflow={workflow}&limit=500")[1]["executions"]
        return listed

    def post_until_answered(self, path: str, body: Json, key: str) -> tuple[int, Json]:
        """As a client that does not give up: the same request with the same key, also to a gateway started anew."""

        def attempt() -> Json:
            with contextlib.suppress(OSError, HTTPException):
                status, _, answer = self.ask("POST", path, body, idempotency_key=key)
                return (status, answer) if status != 503 else None
            return None

        found: tuple[int, Json] = until(attempt, f"an answer to {path}")
        return found

    # Asking the ledgers.

    def things(self, services: tuple[str, ...], id: str) -> dict[str, str | None]:
        """Service → ``live``, ``gone``, ``void`` or None for what is named ``id``."""
        return {name: self.services.ledger(name)["things"].get(id) for name in services}


def fates(services: Services, names: tuple[str, ...]) -> dict[str, str]:
    """Id → ``complete``, ``undone``, or what is wrong with it, by the ledgers of the services in their order.

    A ledger does the work of a key once, so one key for all requests for the same work means that it was done once.
    """
    things = {name: services.ledger(name) for name in names}
    ids = {id for ledger in things.values() for id in ledger["things"]}
    found = {}
    for id in ids:
        states = [ledger["things"].get(id) for ledger in things.values()]
        if states == ["live"] * len(names):
            found[id] = "complete"
        elif states[0] == "gone" and states[-1] is None and all(state in (None, "gone", "void") for state in states):
            found[id] = "undone"
        else:
            found[id] = f"neither complete nor undone: {states}"
    for name, ledger in things.items():
        keys: dict[tuple[str, str], set[str]] = defaultdict(set)
        for arrival in ledger["arrivals"]:
            keys[arrival["method"], arrival["id"]].add(arrival["key"])
        for (method, id), used in keys.items():
            if len(used) != 1 or None in used:
                found[id] = f"{method} to {name} with the keys {sorted(map(str, used))}"
    return found


def run(*arguments: str, timeout: float = 110) -> subprocess.CompletedProcess[str]:
    """The command line, as a process."""
    command = [sys.executable, "-m", "stagedoor", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=timeout, env=os.environ, check=False)


def lines(path: Path) -> list[Json]:
    """A file of JSON lines."""
    return [json.loads(line) for line in path.read_text().splitlines()]
