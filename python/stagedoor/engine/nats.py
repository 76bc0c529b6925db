"""The NATS broker of the configuration: one at a time, let go when another one is configured."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from stagedoor.engine.broker import Broker, Settings
from stagedoor.engine.consumer import StreamConsumer

Json = Any


class Nats:
    """``receive`` stores events that come in."""

    def __init__(self, receive: Callable[[Sequence[Json]], Awaitable[int]]) -> None:
        self.broker: Broker | None = None
        """Where events are sent, and come from."""
        self._receive = receive
        self._consumer: StreamConsumer | None = None
        self._wanted = False
        self._begun = False
        self._ending: set[asyncio.Task[None]] = set()

    @property
    def refused(self) -> int:
        """Messages that held no event."""
        return 0 if self._consumer is None else self._consumer.refused

    def use(self, settings: Settings | None) -> None:
        if settings == (None if self.broker is None else self.broker.settings):
            return
        self._let_go()
        self.broker = None if settings is None else Broker(settings)
        self._follow()

    def consume(self) -> None:
        """Take what comes, once begun."""
        self._wanted = True
        self._follow()

    def begin(self) -> None:
        self._begun = True
        self._follow()

    async def stop(self) -> None:
        self._begun = False
        self._let_go()
        if self._ending:
            await asyncio.wait(self._ending)

    def _follow(self) -> None:
        broker = self.broker
        if self._wanted and self._begun and self._consumer is None and broker is not None and broker.settings.stream:
            self._consumer = StreamConsumer(broker, self._receive)

    def _let_go(self) -> None:
        broker, consumer = self.broker, self._consumer
        self.broker = self._consumer = None
        if broker is not None:
            task = asyncio.get_running_loop().create_task(_end(broker, consumer))
            self._ending.add(task)
            task.add_done_callback(self._ending.discard)


async def _end(broker: Broker, consumer: StreamConsumer | None) -> None:
    if consumer is not None:
        await consumer.stop()
    await broker.stop()
