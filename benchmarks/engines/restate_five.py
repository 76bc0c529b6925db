"""Five steps with Restate's Python SDK behind hypercorn: PORT UPSTREAM."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import aiohttp
import hypercorn
import hypercorn.asyncio
import restate

PORT, UPSTREAM = int(sys.argv[1]), int(sys.argv[2])
session: aiohttp.ClientSession | None = None
service = restate.Service("Five")


async def call(number: int, body: Any) -> Any:
    global session
    if session is None:
        session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
    async with session.post(f"http://127.0.0.1:{UPSTREAM}/{number}", json=body) as answer:
        answer.raise_for_status()
        return await answer.json()


@service.handler()
async def run(context: restate.Context, order: dict[str, Any]) -> Any:
    got = await context.run_typed("1", call, number=1, body={"sku": order["sku"]})
    for number in (2, 3, 4, 5):
        got = await context.run_typed(str(number), call, number=number, body={"id": got["id"]})
    return got


settings = hypercorn.Config()
settings.bind = [f"127.0.0.1:{PORT}"]
settings.h2_max_concurrent_streams = 2**31 - 1
settings.keep_alive_max_requests = 2**31 - 1
settings.keep_alive_timeout = 2**31 - 1
settings.loglevel = "ERROR"
asyncio.run(hypercorn.asyncio.serve(restate.app(services=[service]), settings))
