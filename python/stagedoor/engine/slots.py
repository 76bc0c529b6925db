"""Slots for work of which so much may be done at once: who finds none waits, each execution in its turn."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from stagedoor.engine.limits import Share

Key = tuple[str, str]
"""Execution and command."""
Kind = Literal["cluster", "functions", "threads", "processes"]


@dataclass(slots=True)
class Queued:
    begin: Callable[[], None]
    since: float


class Place(NamedTuple):
    """In the queue; the first is 1."""

    number: int
    of: int
    since: float


Soon = Callable[[Callable[[], None]], object]
"""Calls something in the next turn of the loop."""


def soon(go_on: Callable[[], None]) -> None:
    asyncio.get_running_loop().call_soon(go_on)


class Slots:
    """A slot is held until ``leave``, which may be called more than once; whoever waits gets it in the next turn of the
    loop, when all that ends together has left. ``begin`` raises nothing."""

    def __init__(self, kind: Kind, name: str, share: Share, clock: Callable[[], float], soon: Soon = soon) -> None:
        self.kind, self.name, self.share = kind, name, share
        self._soon, self._asked = soon, False
        self.waiting = 0
        self.refused = 0
        self._clock = clock
        self._held: set[Key] = set()
        self._queue: dict[str, dict[Key, Queued]] = {}
        """By execution, in the order of their turns."""
        self._going = False

    @property
    def held(self) -> int:
        return len(self._held)

    def hold(self, key: Key) -> bool:
        """Take a slot if one is free and nobody waits for it."""
        if self.waiting or len(self._held) >= self.share.at_once:
            return False
        self._held.add(key)
        return True

    def queue(self, key: Key, begin: Callable[[], None], *, always: bool = False) -> bool:
        """Wait for a slot; ``begin`` is called once it is held. False: as many wait as may, unless ``always``."""
        if self.waiting >= self.share.queue and not always:
            self.refused += 1
            return False
        self.waiting += 1
        self._queue.setdefault(key[0], {})[key] = Queued(begin, self._clock())
        return True

    def leave(self, key: Key) -> None:
        """Neither hold a slot nor wait for one any more."""
        if key in self._held:
            self._held.discard(key)
            if self.waiting and not self._asked:
                self._asked = True
                self._soon(self.go_on)
            return
        queued = self._queue.get(key[0])
        if queued is not None and queued.pop(key, None) is not None:
            self.waiting -= 1
            if not queued:
                del self._queue[key[0]]

    def use(self, share: Share) -> None:
        """Those that hold slots keep them."""
        self.share = share
        self.go_on()

    def go_on(self) -> None:
        """Give what is free to those who wait."""
        self._asked = False
        if self._going:
            # Work that ended as it began: the loop below goes on.
            return
        self._going = True
        try:
            while self._queue and len(self._held) < self.share.at_once:
                execution = next(iter(self._queue))
                queued = self._queue.pop(execution)
                key = next(iter(queued))
                first = queued.pop(key)
                if queued:
                    self._queue[execution] = queued
                self.waiting -= 1
                self._held.add(key)
                first.begin()
        finally:
            self._going = False

    def place(self, key: Key) -> Place | None:
        """None: it does not wait here."""
        queued = self._queue.get(key[0])
        if queued is None or key not in queued:
            return None
        round_ = list(queued).index(key)
        before, passed = 0, False
        for execution, others in self._queue.items():
            passed = passed or execution == key[0]
            # Of each other execution as many as have their turns before this one's.
            before += min(len(others), round_ if passed else round_ + 1)
        return Place(before + 1, self.waiting, queued[key].since)
