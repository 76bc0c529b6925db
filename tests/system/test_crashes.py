"""The gateway's process is lost at any moment; what it began is finished by the next one, once."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest
from load import Client, Closed
from shop import DECLINED, ORDER, ORDER_SERVICES, USER, USER_SERVICES, WEB, Shop, fates
from stagedoor.demo.processes import Services, until

Json = Any

LIVES, ORDERS = 20, 100
CARDS = ("4242", "declined", "lost-answer")

CASES = {
    "order": ("/v1/orders", ORDER, ORDER_SERVICES, 201, "complete"),
    "declined-order": ("/v1/orders", DECLINED, ORDER_SERVICES, 402, "undone"),
    "registration": ("/v1/registrations", USER, USER_SERVICES, 201, "complete"),
    "refused-registration": ("/v1/registrations", USER | {"role": "root"}, USER_SERVICES, 403, "undone"),
}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("case", CASES)
def test_a_crash_after_every_single_event_changes_nothing(case: str, own_services: Services, tmp_path: Path) -> None:
    path, body, names, expected, fate = CASES[case]
    workflow = f"shop/{'order' if 'order' in case else 'registration'}"
    events, crashed = 0, True
    while crashed:
        events += 1
        (folder := tmp_path / str(events)).mkdir()
        shop = Shop(own_services, folder)
        crashed = _crash(shop, events, workflow, path, body)
        shop.open()
        status, answer = shop.post_until_answered(path, body, "the-same")
        assert status == expected, f"after event {events}: {answer}"
        (execution,) = shop.executions(workflow)
        shop.ended(execution["id"])
        assert fates(own_services, names)[execution["id"]] == fate, f"after event {events}"
        shop.kill()
    # At least: started, two calls of which one registered an undo, the undo's call, the end.
    assert events > 6
    assert list(fates(own_services, names).values()) == [fate] * events


def _crash(shop: Shop, events: int, workflow: str, path: str, body: Json) -> bool:
    """Send the request to a gateway that ends once it has committed so many events; False if it has not so many."""
    gateway = shop.open(STAGEDOOR_CRASH_AFTER_EVENT=str(events))
    with contextlib.suppress(OSError, HTTPException):
        # Its answer does not matter: what counts is what a client gets that asks again.
        shop.ask("POST", path, body, idempotency_key="the-same")

    def settled() -> bool:
        with contextlib.suppress(OSError, HTTPException):
            return all(each["status"] in ("completed", "faulted") for each in shop.executions(workflow))
        return False

    until(lambda: not gateway.running or settled(), "the crash")
    # An end is shown before it is committed, and that commit may be the one to crash at.
    return gateway.end() != 0


@pytest.mark.timeout(600)
def test_a_hundred_orders_survive_twenty_kills(own_services: Services, tmp_path: Path) -> None:
    seed = int(os.environ.get("SEED", random.SystemRandom().randrange(2**32)))
    print(f"SEED={seed}")
    chance = random.Random(seed)
    shop = Shop(own_services, tmp_path)
    statuses = asyncio.run(_lives(shop, chance))
    assert len(statuses) == ORDERS
    for number, status in statuses.items():
        assert status == (402 if CARDS[number % 3] == "declined" else 201), f"order {number}"
    executions = shop.executions()
    assert len(executions) == ORDERS, "one execution for each key"
    for execution in executions:
        shop.ended(execution["id"])
    found = fates(own_services, ORDER_SERVICES)
    assert set(found) == {execution["id"] for execution in executions}
    declined = sum(CARDS[number % 3] == "declined" for number in range(ORDERS))
    assert sorted(found.values()) == ["complete"] * (ORDERS - declined) + ["undone"] * declined
    shop.kill()


async def _lives(shop: Shop, chance: random.Random) -> dict[int, int]:
    """Each life of the gateway gets new orders and is ended at a random moment; the last one finishes them all."""
    statuses: dict[int, int] = {}
    serving = asyncio.Event()
    tasks = []
    for life in range(LIVES):
        await asyncio.to_thread(shop.open)
        serving.set()
        share = ORDERS // LIVES
        tasks += [
            asyncio.create_task(_order(shop, number, serving, statuses))
            for number in range(life * share, (life + 1) * share)
        ]
        await asyncio.sleep(chance.uniform(0, 0.5))
        serving.clear()
        await asyncio.to_thread(shop.kill)
    await asyncio.to_thread(shop.open)
    serving.set()
    await asyncio.gather(*tasks)
    return statuses


async def _order(shop: Shop, number: int, serving: asyncio.Event, statuses: dict[int, int]) -> None:
    order = ORDER | {"card": CARDS[number % 3]}
    while True:
        await serving.wait()
        address = shop.address
        try:
            async with Client(address) as client:
                answer = await client.ask("POST", "/v1/orders", order, x_api_key=WEB, idempotency_key=f"order-{number}")
        except (OSError, Closed, asyncio.IncompleteReadError):
            await asyncio.sleep(0.01)
            continue
        if answer.status != 202:
            statuses[number] = answer.status
            return
        await asyncio.sleep(0.05)
