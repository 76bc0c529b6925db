"""What a client of the shop may do, how often, and who sees what."""

from __future__ import annotations

import asyncio
from collections import Counter

from load import Client, eventually
from shop import ORDER, ORDER_SERVICES, PARTNER, WEB, Shop
from stagedoor.demo.processes import until

WRONG = "a-wrong-key-that-somebody-tried"


def test_a_limit_is_exact_under_64_concurrent_clients(shop: Shop) -> None:
    shop.replace("limit: 5, per: 10s", "limit: 100, per: 1h")
    shop.open()

    async def client() -> Counter[int]:
        async with Client(shop.address) as connection:
            return Counter([(await connection.ask("GET", "/v1/items", x_api_key=WEB)).status for _ in range(5)])

    async def everybody() -> Counter[int]:
        return sum(await asyncio.gather(*(client() for _ in range(64))), Counter())

    assert asyncio.run(everybody()) == {200: 100, 429: 220}
    status, headers, problem = shop.ask("GET", "/v1/items")
    assert (status, problem["type"].partition("#")[2]) == (429, "rate-limited")
    assert 0 < int(headers["retry-after"]) <= 36
    assert "ratelimit" in headers
    assert shop.ask("GET", "/v1/items", key=PARTNER)[0] == 200, "each consumer has a limit of its own"


def test_without_a_key_or_with_a_wrong_one_nobody_gets_in(shop: Shop) -> None:
    shop.open()
    for key in (None, WRONG):
        status, headers, problem = shop.ask("POST", "/v1/orders", ORDER, key=key)
        assert (status, problem["type"].partition("#")[2]) == (401, "unauthorized")
        assert "www-authenticate" in headers
    assert shop.executions() == []
    assert shop.ask("GET", "/health", key=None)[0] == 200


def test_a_key_is_in_no_log_no_error_and_no_event(shop: Shop) -> None:
    shop.open()
    answers = [
        shop.ask("GET", "/v1/items/mug"),
        shop.ask("GET", "/v1/items/none"),
        shop.ask("GET", "/nowhere"),
        shop.ask("PUT", "/v1/orders", ORDER),
        shop.ask("GET", "/v1/items", key=WRONG),
        shop.ask("POST", "/v1/orders", ORDER, idempotency_key="an-order"),
        shop.ask("POST", "/v1/orders", ORDER | {"card": "declined"}),
        shop.ask("POST", "/v1/orders", "not an object"),
        shop.ask("GET", "/v1/orders/none"),
        *(shop.ask("GET", "/v1/items") for _ in range(6)),
    ]
    until(lambda: all(each["status"] != "running" for each in shop.executions()), "the end of the executions")
    shown = [shop.admin(f"/executions/{each['id']}") for each in shop.executions()]
    metrics = shop.admin("/metrics")
    assert shop.gateway is not None
    shop.gateway.end()
    seen = [str(answers).encode(), str(shown).encode(), str(metrics).encode()]
    files = [path for path in shop.folder.rglob("*") if path.is_file() and path != shop.config]
    assert {shop.access_log, shop.store, shop.gateway.log} <= set(files)
    assert len(shop.access_log.read_text().splitlines()) == len(answers)
    for key in (WEB, PARTNER, WRONG):
        assert not [text[:200] for text in seen if key.encode() in text]
        assert not [path for path in files if key.encode() in path.read_bytes()]


def test_services_never_see_the_key(shop: Shop) -> None:
    """The key is the gateway's business; what a service gets is the consumer's name."""
    shop.open()
    assert shop.ask("POST", "/v1/orders", ORDER)[0] == 201
    for name in ORDER_SERVICES:
        assert WEB not in str(shop.services.ledger(name))


def test_a_client_that_goes_away_does_not_stop_its_order(shop: Shop) -> None:
    shop.open()

    async def go_away() -> None:
        async with Client(shop.address) as client:
            await client.send("POST", "/v1/orders", ORDER | {"card": "slow"}, x_api_key=WEB)
            await eventually(begun)

    async def begun() -> bool:
        return bool(await asyncio.to_thread(shop.executions))

    asyncio.run(go_away())
    (execution,) = shop.executions()
    assert execution["status"] == "running"
    assert shop.ended(execution["id"])["status"] == "completed"
    assert shop.things(ORDER_SERVICES, execution["id"]) == dict.fromkeys(ORDER_SERVICES, "live")


def test_who_will_not_wait_gets_202_and_a_resource_that_only_the_same_consumer_can_read(shop: Shop) -> None:
    shop.open()
    status, headers, accepted = shop.ask("POST", "/v1/orders", ORDER | {"card": "slow"}, prefer="respond-async")
    assert status == 202
    assert accepted["status"] in ("pending", "running")
    where = headers["location"]
    assert where == f"/v1/orders/{accepted['id']}"
    assert shop.ask("GET", where)[2]["status"] == "running"
    for _ in range(2):
        status, _, problem = shop.ask("GET", where, key=PARTNER)
        assert (status, problem["type"].partition("#")[2]) == (404, "execution-not-found")
        assert accepted["id"] not in problem["detail"]
        assert shop.ask("GET", where, key=None)[0] == 401
        until(lambda: shop.ask("GET", where)[2]["status"] == "completed", "the order")
    resource = shop.ask("GET", where)[2]
    assert resource["output"]["orderId"] == accepted["id"]
    assert shop.ask("GET", where.replace("orders", "registrations"))[0] == 404, "not by the route of another workflow"


def test_a_wait_that_ends_is_answered_with_202(shop: Shop) -> None:
    shop.replace("wait: 10s    ", "wait: 100ms  ")
    shop.open()
    status, headers, _ = shop.ask("POST", "/v1/orders", ORDER | {"card": "slow"})
    assert status == 202
    until(lambda: shop.ask("GET", headers["location"])[2]["status"] == "completed", "the order")


def test_a_failed_order_is_in_its_status_resource_with_what_was_undone(shop: Shop) -> None:
    shop.open()
    _, headers, _ = shop.ask("POST", "/v1/orders", ORDER | {"card": "declined"}, prefer="respond-async")
    until(lambda: shop.ask("GET", headers["location"])[2]["status"] == "faulted", "the order")
    error = shop.ask("GET", headers["location"])[2]["error"]
    assert (error["status"], error["title"]) == (402, "Card declined")
    assert error["compensation"]["status"] == "complete"
