"""Orders by clients that do not give up, while the gateway's process is killed again and again; and whether the ledgers
of the services agree with what clients were told. ``make soak`` runs a thousand of them."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from load import Client, Closed
from shop import ORDER, ORDER_SERVICES, WEB, Shop, fates
from stagedoor.cli.admin import Admin
from stagedoor.cli.search import every
from stagedoor.demo.processes import Services

Json = Any
CARDS = ("4242", "declined", "lost-answer")
EXPECTED = {"4242": (201, "complete"), "declined": (402, "undone"), "lost-answer": (201, "complete")}
"""By card: what the client is told in the end, and what has become of the order."""
AT_ONCE = 64
"""Clients that ask at the same time."""
LIFE_S = 0.5
"""The longest time from which a gateway serves until it is killed."""


@dataclass(slots=True)
class Soak:
    """What is known of one run."""

    orders: int
    kills: int = 0
    seconds: float = 0.0
    acknowledged: dict[str, int] = field(default_factory=dict)
    """Execution → the order for whose client it was accepted."""
    statuses: dict[int, int] = field(default_factory=dict)
    """Order → what its client was told in the end."""
    requests: int = 0
    """Sent by clients."""
    recovered: int = 0
    """Executions that a gateway found open at its start."""
    ends: Counter[str] = field(default_factory=Counter)
    fates: Counter[str] = field(default_factory=Counter)
    work: int = 0
    """Steps and undos in the ledgers."""
    repeats: int = 0
    """Requests for work that was done before, answered by the ledgers from what they know."""
    wrong: list[str] = field(default_factory=list)

    def report(self) -> str:
        lines = [
            f"{self.orders} orders, {self.kills} kills, {self.seconds:.0f} s",
            f"requests of clients {self.requests}, executions read back after a kill {self.recovered}",
            f"ends {dict(sorted(self.ends.items()))}, orders {dict(sorted(self.fates.items()))}",
            f"work in the ledgers {self.work}, repeated requests for it {self.repeats}",
            *([f"wrong: {each}" for each in self.wrong] or ["nothing is wrong"]),
        ]
        return "\n".join(lines)


def soak(shop: Shop, orders: int, kills: int, seed: int) -> Soak:
    """The services' ledgers are empty at the beginning."""
    found, begun = Soak(orders), time.monotonic()
    asyncio.run(_lives(shop, found, kills, random.Random(seed)))
    found.seconds = time.monotonic() - begun
    _compare(shop, found)
    shop.kill()
    return found


async def _lives(shop: Shop, found: Soak, kills: int, chance: random.Random) -> None:
    """Each life of the gateway gets new orders and is ended at a random moment; the last one finishes them all."""
    serving, places = asyncio.Event(), asyncio.Semaphore(AT_ONCE)
    share = -(-found.orders // (kills + 1))
    tasks = []
    for life in range(kills + 1):
        await asyncio.to_thread(shop.open)
        serving.set()
        numbers = range(life * share, min((life + 1) * share, found.orders))
        tasks += [asyncio.create_task(_order(shop, found, number, serving, places)) for number in numbers]
        if life < kills:
            await asyncio.sleep(chance.uniform(0, LIFE_S))
            serving.clear()
            await asyncio.to_thread(shop.kill)
            found.kills += 1
    await asyncio.gather(*tasks)
    found.recovered = sum(map(int, RECOVERED.findall(shop.log)))


async def _order(shop: Shop, found: Soak, number: int, serving: asyncio.Event, places: asyncio.Semaphore) -> None:
    """The same request with the same key until its end is told. Every other client wants to be told at once that its
    order is accepted."""
    order = ORDER | {"card": CARDS[number % len(CARDS)]}
    headers = {"x_api_key": WEB, "idempotency_key": f"order-{number}"}
    if number % 2:
        headers["prefer"] = "respond-async"
    async with places:
        while True:
            await serving.wait()
            found.requests += 1
            answer = None
            with contextlib.suppress(OSError, Closed, asyncio.IncompleteReadError):
                async with Client(shop.address) as client:
                    answer = await client.ask("POST", "/v1/orders", order, **headers)
            if answer is not None and answer.status == 202:
                found.acknowledged[answer.json["id"]] = number
            elif answer is not None and answer.status != 503:
                found.statuses[number] = answer.status
                return
            await asyncio.sleep(0.02)


RECOVERED = re.compile(r'executions recovered.*?"?executions"?[=:] ?(\d+)')
"""In the log of a gateway: what it found open at its start."""


def _compare(shop: Shop, found: Soak) -> None:
    executions = {each["id"]: each for each in every(Admin(shop.gateway.admin, None), workflow="shop/order")}
    ended = {id: shop.ended(id) for id in executions}
    found.ends = Counter(each["status"] for each in ended.values())
    if len(executions) != found.orders:
        found.wrong.append(f"{len(executions)} executions for {found.orders} keys")
    found.wrong += [f"{id} was accepted and is not there" for id in found.acknowledged if id not in executions]
    became = fates(shop.services, ORDER_SERVICES)
    found.fates = Counter(became.values())
    keys = {each["idempotencyKey"]: id for id, each in executions.items()}
    for number in range(found.orders):
        status, fate = EXPECTED[CARDS[number % len(CARDS)]]
        id = keys.get(f"order-{number}")
        if found.statuses.get(number) != status or became.get(str(id)) != fate:
            told = f"told {found.statuses.get(number)}, became {became.get(str(id))}"
            found.wrong.append(f"order {number} ({id}): {told} instead of {status} and {fate}")
    found.wrong += [f"{id} is in a ledger and no execution" for id in became if id not in executions]
    for name in ORDER_SERVICES:
        entries = shop.services.ledger(name)["entries"]
        found.work += len(entries)
        found.repeats += sum(entry["repeats"] for entry in entries)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=1000)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4)))
    said = parser.parse_args(arguments)
    print(f"seed {said.seed}", flush=True)
    with tempfile.TemporaryDirectory() as folder, Services(Path(folder) / "ledgers") as services:
        shop = Shop(services, Path(folder))
        try:
            found = soak(shop, said.orders, said.kills, said.seed)
        finally:
            shop.kill()
    print(found.report())
    return 1 if found.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
