"""Events through routes: read, held to what the route takes, and stored before the sender hears of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from stagedoor import _core
from stagedoor.engine import cloud_events
from stagedoor.engine.callers import RETRY_AFTER_S, Callers
from stagedoor.engine.inbox import Inbox
from stagedoor.engine.store import StoreError
from stagedoor.notices import Notices


@dataclass(frozen=True, slots=True)
class Accepted:
    """Which events a route takes: values of attributes, where a last ``*`` stands for any rest; none: all of them."""

    types: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()

    def refuses(self, event: _core.Json) -> str | None:
        """The attribute for which it does."""
        for name, taken in (("type", self.types), ("source", self.sources)):
            if taken and not any(_matches(each, event[name]) for each in taken):
                return name
        return None


def _matches(pattern: str, value: str) -> bool:
    return value.startswith(pattern[:-1]) if pattern.endswith("*") else value == pattern


class Reception:
    """``routes`` are those that take events, by name."""

    def __init__(self, notices: Notices, inbox: Inbox, callers: Callers, flush_soon: Callable[[], None]) -> None:
        self.routes: Mapping[str, Accepted] = {}
        self._inbox, self._callers, self._flush_soon = inbox, callers, flush_soon
        self._under_way: set[asyncio.Task[None]] = set()
        notices.handle({_core.ReceiveEvents: self._received})

    def _received(self, notice: _core.ReceiveEvents) -> None:
        # No more of them than callouts may wait for an answer.
        task = asyncio.get_running_loop().create_task(self._take(notice))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def _take(self, notice: _core.ReceiveEvents) -> None:
        callout, refuse, taken = notice.callout, self._callers.refuse, self.routes.get(notice.route)
        try:
            events = cloud_events.parse(notice.headers, notice.body)
            refused = next((name for event in events if taken is not None and (name := taken.refuses(event))), None)
            if taken is None:
                refuse(callout, "engine-unavailable", "The route takes no events at present.", RETRY_AFTER_S)
            elif refused is not None:
                refuse(callout, "forbidden", f"This route takes no event of that {refused}.")
            else:
                self._callers.answers.append((callout, "stored", await self._inbox.receive(events)))
        except StoreError:
            refuse(callout, "engine-unavailable", "The store cannot be written.", RETRY_AFTER_S)
        except ValueError as error:
            refuse(callout, "bad-request", f"The events cannot be taken: {error}.")
        self._flush_soon()
