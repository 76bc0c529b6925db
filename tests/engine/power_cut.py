"""Run by test_store_faults.py in a process of its own, over a disk that forgets: appends as stdin says, and prints what
is acknowledged.

``start NAME``, ``event NAME SEQ BYTES``: an append each. What is printed: the line and ``yes`` or ``no``.
"""

from __future__ import annotations

import asyncio
import sys
from functools import partial
from pathlib import Path

from stagedoor.engine.event_log import Append, EventLog
from stagedoor.engine.store import StoreError
from test_event_log import started


def tell(line: str, error: StoreError | None) -> None:
    print(f"{line}: {'yes' if error is None else 'no'}", flush=True)


async def main(path: Path) -> None:
    loop = asyncio.get_running_loop()
    log = EventLog(path, loop)
    print("open", flush=True)
    while line := (await loop.run_in_executor(None, sys.stdin.readline)).strip():
        kind, name, *more = line.split()
        if kind == "start":
            log.append([started(name, partial(tell, line))])
        else:
            text = "x" * int(more[1])
            log.append([Append(name, int(more[0]), "TimerFired", 2.0, f'{{"timer":"{text}"}}', partial(tell, line))])
    await log.close()
    print("closed", flush=True)


asyncio.run(main(Path(sys.argv[1])))
