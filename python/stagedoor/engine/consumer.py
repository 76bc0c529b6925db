"""Events of a NATS stream, in: each is acknowledged once it is stored, so none is lost, and one that comes twice is
known by its source and id."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, Any

from stagedoor.engine import broker, cloud_events
from stagedoor.engine.broker import Broker
from stagedoor.engine.lifecycle import FOR_SINKS
from stagedoor.engine.store import StoreError

if TYPE_CHECKING:
    from nats.aio.msg import Msg
    from nats.js.client import JetStreamContext

BATCH = 100
"""Messages on their way at a time."""
PATIENCE_S = 30.0
"""For the next message, before it is asked for again."""
PAUSES_S = (0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Between two attempts while the broker or the stream is not there; the last one repeats."""

Json = Any
log = logging.getLogger("stagedoor.engine")


class StreamConsumer:
    """``receive`` stores events, and says how many of them are new."""

    def __init__(self, broker: Broker, receive: Callable[[Sequence[Json]], Awaitable[int]]) -> None:
        self.refused = 0
        """Messages that hold no event."""
        self._broker, self._receive = broker, receive
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """What was not acknowledged comes again."""
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _run(self) -> None:
        from nats.errors import Error

        attempt = 0
        while True:
            try:
                pull = await self._subscribed()
                log.info("events come from a stream", extra={"stream": self._broker.settings.stream})
                while True:
                    await self._next(pull)
                    attempt = 0
            except (Error, OSError, TimeoutError, StoreError) as error:
                if attempt == 0:
                    where = {"stream": self._broker.settings.stream}
                    log.warning("no events come from the stream: %s", broker.told(error), extra=where)
                await asyncio.sleep(PAUSES_S[min(attempt, len(PAUSES_S) - 1)])
                attempt += 1

    async def _subscribed(self) -> JetStreamContext.PullSubscription:
        settings = self._broker.settings
        client = await self._broker.client()
        return await client.jetstream().pull_subscribe(
            settings.filter or "", durable=settings.durable, stream=settings.stream
        )

    async def _next(self, pull: JetStreamContext.PullSubscription) -> None:
        try:
            messages = await pull.fetch(BATCH, timeout=PATIENCE_S)
        except TimeoutError:
            # Nothing came; is the broker still there?
            await self._broker.client()
            return
        for message in messages:
            events = self._events(message)
            if events is None:
                await message.term()
            else:
                await self._receive(events)
                await message.ack()

    def _events(self, message: Msg) -> list[Json] | None:
        """None if it is none and never will be."""
        try:
            events = cloud_events.parse(_fields(message), message.data)
            # What tells of executions would, here, tell of those that it starts.
            return [event for event in events if not event["type"].startswith(FOR_SINKS)]
        except ValueError as error:
            self.refused += 1
            log.warning("a message of the stream is no event: %s", error, extra={"subject": message.subject})
            return None


def _fields(message: Msg) -> list[tuple[str, str]]:
    """Without a content type it is JSON, as the protocol binding has it (NATS Protocol Binding 1.0.2, 3.1)."""
    fields = list((message.headers or {}).items())
    known = {name.lower() for name, _ in fields}
    if "content-type" not in known and not any(name.startswith("ce-") for name in known):
        fields.append(("content-type", "application/cloudevents+json"))
    return fields
