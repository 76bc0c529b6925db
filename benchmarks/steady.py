"""Requests at a steady rate over a few connections, each answered before its connection sends the next one:
PORT PATH A_SECOND SECONDS BODY. Ends with 1 if one of them was not accepted."""

from __future__ import annotations

import asyncio
import sys
import time

CONNECTIONS = 32


async def main(port: int, path: str, a_second: int, seconds: int, body: bytes) -> None:
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nPrefer: respond-async\r\n"
    request = f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
    begin = time.perf_counter()

    async def send(first: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        for number in range(first, a_second * seconds, CONNECTIONS):
            await asyncio.sleep(max(0.0, begin + number / a_second - time.perf_counter()))
            writer.write(request)
            answer = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
            if not answer.startswith("http/1.1 202"):
                sys.exit(f"was answered {answer.splitlines()[0]}")
            length = next(line for line in answer.split("\r\n") if line.startswith("content-length:"))
            await reader.readexactly(int(length.partition(":")[2]))
        writer.close()

    await asyncio.gather(*(send(first) for first in range(CONNECTIONS)))


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), sys.argv[5].encode()))
