"""A chat room for each path: what one says, all in the room hear. Who stands in ``X-Consumer-Id`` is who speaks."""

from __future__ import annotations

import asyncio
import sys
from collections import defaultdict

from websockets.asyncio.server import Server, ServerConnection, broadcast, serve

rooms: defaultdict[str, set[ServerConnection]] = defaultdict(set)


async def chat(connection: ServerConnection) -> None:
    request = connection.request
    assert request is not None
    room = rooms[request.path.partition("?")[0]]
    room.add(connection)
    try:
        async for message in connection:
            broadcast(room, f"{request.headers.get('X-Consumer-Id', 'somebody')}: {message!s}")
    finally:
        room.discard(connection)


async def start(port: int) -> Server:
    return await serve(chat, "127.0.0.1", port)


async def main(port: int) -> None:
    server = await start(port)
    print(f"chat at ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/chat/hall", flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 8765))
