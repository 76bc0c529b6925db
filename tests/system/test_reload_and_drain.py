"""A new configuration, or the end: no request fails for it."""

from __future__ import annotations

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from load import Client, Closed, eventually
from shop import ORDER, WEB, Shop
from stagedoor.demo.processes import until

RELOADS, CLIENTS = 50, 12


class Load:
    """Clients that ask without a pause, each on a connection of its own that it keeps."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.answers: Counter[int] = Counter()
        self.failures: list[str] = []
        self._over = False

    @asynccontextmanager
    async def running(self) -> AsyncIterator[Load]:
        tasks = [asyncio.create_task(self._client(number)) for number in range(CLIENTS)]
        try:
            yield self
        finally:
            self._over = True
            await asyncio.gather(*tasks)

    async def _client(self, number: int) -> None:
        async with Client(self.shop.address) as client:
            while not self._over:
                used = client.used
                try:
                    if number % 6 == 0:
                        answer = await client.ask("POST", "/v1/orders", ORDER, x_api_key=WEB)
                    elif number % 2:
                        answer = await client.ask("GET", "/v1/items/mug", x_api_key=WEB)
                    else:
                        answer = await client.ask("GET", "/health")
                except ConnectionRefusedError:
                    if not self._over:
                        self.failures.append("connection refused")
                    return
                except Closed:
                    # An idle connection may be closed at any time (RFC 9112, 9.3.1): then the request is sent again.
                    if not used:
                        self.failures.append("a new connection was closed without an answer")
                    continue
                except (OSError, asyncio.IncompleteReadError) as error:
                    self.failures.append(repr(error))
                    continue
                self.answers[answer.status] += 1
                if answer.status not in (200, 201):
                    self.failures.append(f"{answer.status} {answer.body[:300]!r}")

    def stop(self) -> None:
        """From now on a refused connection is no failure."""
        self._over = True


@pytest.mark.timeout(300)
def test_fifty_reloads_under_load_fail_no_request(shop: Shop) -> None:
    shop.replace("limit: 500, per: 1s", "limit: 1000000, per: 1s")
    gateway = shop.open()

    async def scenario() -> Load:
        async with Load(shop).running() as load, Client(shop.address) as watcher:
            body = "ok"
            for number in range(RELOADS):
                shop.replace(f'body: "{body}\\n"', f'body: "{number}\\n"')
                body = str(number)
                gateway.popen.send_signal(signal.SIGHUP)

                async def applied(wanted: bytes = f"{number}\n".encode()) -> bool:
                    return (await watcher.ask("GET", "/health")).body == wanted

                await eventually(applied)
        return load

    load = asyncio.run(scenario())
    assert load.failures == []
    assert load.answers[200] > RELOADS
    assert load.answers[201] > 0
    assert gateway.running


@pytest.mark.timeout(120)
def test_draining_under_load_fails_no_request(shop: Shop) -> None:
    shop.replace("limit: 500, per: 1s", "limit: 1000000, per: 1s")
    shop.services.fault("inventory", do="late", method="GET", seconds=0.05)
    gateway = shop.open()

    async def scenario() -> tuple[Load, int]:
        async with Load(shop).running() as load, Client(shop.address) as slow:

            async def busy() -> bool:
                return load.answers.total() >= 200

            async def waiting() -> bool:
                listed = await asyncio.to_thread(shop.executions)
                return sum(each["status"] == "running" for each in listed) > 0

            await eventually(busy)
            await slow.send("POST", "/v1/orders", ORDER | {"card": "slow"}, x_api_key=WEB)
            await eventually(waiting)
            load.stop()
            gateway.popen.send_signal(signal.SIGTERM)
            status = (await slow.receive()).status
        return load, status

    load, status = asyncio.run(scenario())
    assert load.failures == []
    assert status == 201, "a request that was on its way got its answer"
    assert gateway.popen.wait(60) == 0


@pytest.mark.timeout(120)
def test_a_wrong_configuration_leaves_the_old_one_serving_and_every_error_in_the_log(shop: Shop) -> None:
    shop.replace('body: "ok\\n"', 'body: "old\\n"')
    gateway = shop.open()
    right = shop.config.read_text()
    shop.replace("target: {cluster: inventory, path: /items}", "target: {cluster: inventry, path: /items}")
    shop.replace("limit: 500, per: 1s", "limit: -1, per: soon")
    shop.replace('body: "old\\n"', 'body: "new\\n"')
    gateway.popen.send_signal(signal.SIGHUP)
    until(lambda: "the old one keeps serving" in shop.log, "the refusal")
    for said in ("inventry", "did you mean 'inventory'", "routes.item.policies.rate_limit"):
        assert said in shop.log, said
    assert shop.ask("GET", "/health")[2] == "old\n"
    assert shop.ask("POST", "/v1/orders", ORDER)[0] == 201
    shop.write(right.replace("old\\n", "new\\n"))
    gateway.popen.send_signal(signal.SIGHUP)
    until(lambda: shop.ask("GET", "/health")[2] == "new\n", "the new configuration")


@pytest.mark.timeout(120)
def test_a_changed_file_is_noticed_without_a_signal(shop: Shop) -> None:
    shop.open()
    shop.replace('body: "ok\\n"', 'body: "changed\\n"')
    until(lambda: shop.ask("GET", "/health")[2] == "changed\n", "the change")
