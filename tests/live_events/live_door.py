"""The shared gateway, as a test sees it."""

from __future__ import annotations

import json
from typing import Any

from running import Gateway, until


class Door:
    """Its address, and what it has logged."""

    def __init__(self, gateway: Gateway) -> None:
        assert gateway.addresses, gateway.log
        self.gateway = gateway
        self.address: str = gateway.addresses["listeners"]["public"]

    def socket(self, path: str) -> str:
        return f"ws://{self.address}{path}"

    def line(self, path: str) -> dict[str, Any]:
        """What the log says of the one request for this path."""
        log = self.gateway.folder / "access.log"

        def look() -> list[dict[str, Any]]:
            lines = log.read_text().splitlines() if log.exists() else []
            return [line for line in map(json.loads, lines) if line["path"] == path]

        return until(look)[0]
