"""Five steps with DBOS behind uvicorn: PORT UPSTREAM STORE."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import uvicorn
from dbos import DBOS
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

PORT, UPSTREAM, STORE = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
session: aiohttp.ClientSession

DBOS(
    config={
        "name": "five",
        "system_database_url": f"sqlite:///{STORE}",
        "run_admin_server": False,
        "log_level": "ERROR",
    }
)


@DBOS.step()
async def call(number: int, body: Any) -> Any:
    async with session.post(f"http://127.0.0.1:{UPSTREAM}/{number}", json=body) as answer:
        answer.raise_for_status()
        return await answer.json()


@DBOS.workflow()
async def five(sku: str) -> Any:
    got = await call(1, {"sku": sku})
    for number in (2, 3, 4, 5):
        got = await call(number, {"id": got["id"]})
    return got


async def post(request: Request) -> JSONResponse:
    return JSONResponse(await five((await request.json())["sku"]))


@asynccontextmanager
async def lifespan(_: Starlette) -> AsyncIterator[None]:
    global session
    DBOS.launch()
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        yield
    DBOS.destroy()


app = Starlette(routes=[Route("/five", post, methods=["POST"])], lifespan=lifespan)
uvicorn.run(app, host="127.0.0.1", port=PORT, log_level="error", access_log=False)
