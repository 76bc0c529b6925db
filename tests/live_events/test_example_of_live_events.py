"""The example does what its page says."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import httpx
import pytest
from httpx_sse import connect_sse
from running import Gateway
from websockets.asyncio.client import connect

EXAMPLE = Path(__file__).parents[2] / "examples/live_events"
sys.path.insert(0, str(EXAMPLE))
sys.path.insert(0, str(Path(__file__).parents[1] / "websocket"))

import live  # noqa: E402
from echoing import Running  # noqa: E402


@pytest.fixture
def door(gateway: Callable[..., Gateway]) -> Iterator[Gateway]:
    prices = live.start_prices(0)
    scores = Running(lambda: live.start_scores(0))
    config = (EXAMPLE / "stagedoor.yaml").read_text()
    ports = (":8080", ":0"), (":9901", ":0"), (":8771", f":{prices.server_address[1]}"), (":8772", f":{scores.port}")
    for written, real in ports:
        assert written in config
        config = config.replace(f"127.0.0.1{written}", f"127.0.0.1{real}")
    yield gateway(config)
    prices.shutdown()
    prices.server_close()
    scores.stop()


def test_prices_and_scores_come_by_either_way(door: Gateway) -> None:
    assert door.addresses, door.log
    address = door.addresses["listeners"]["public"]

    async def messages(path: str) -> list[dict[str, object]]:
        async with connect(f"ws://{address}{path}") as client:
            return [json.loads(await client.recv()) for _ in range(3)]

    prices = asyncio.run(messages("/prices?after=7"))
    assert [(price["event"], price["id"]) for price in prices] == [("price", "8"), ("price", "9"), ("price", "10")]
    assert json.loads(str(prices[0]["data"])) == {"sku": "mug", "price": 1008}
    assert [score["home"] for score in asyncio.run(messages("/scores"))] == [1, 2, 3]
    with httpx.Client(timeout=30) as client:
        with connect_sse(client, "GET", f"http://{address}/prices", headers={"last-event-id": "7"}) as source:
            assert [event.id for event in islice(source.iter_sse(), 3)] == ["8", "9", "10"]
        with connect_sse(client, "GET", f"http://{address}/scores") as source:
            assert [event.json()["home"] for event in islice(source.iter_sse(), 3)] == [1, 2, 3]
