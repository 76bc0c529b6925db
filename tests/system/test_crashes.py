"""The gateway's process is lost at any moment; what it began is finished by the next one, once."""

from __future__ import annotations

import contextlib
import os
import random
from http.client import HTTPException
from pathlib import Path
from typing import Any

import pytest
from shop import DECLINED, ORDER, ORDER_SERVICES, USER, USER_SERVICES, Shop, fates
from soak import soak
from stagedoor.demo.processes import Services, until

Json = Any

ORDERS, KILLS = 100, 20

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
    found = soak(Shop(own_services, tmp_path), ORDERS, KILLS, seed)
    print(found.report())
    assert found.wrong == []
    assert (found.kills, len(found.statuses), sum(found.ends.values())) == (KILLS, ORDERS, ORDERS)
    assert found.acknowledged
