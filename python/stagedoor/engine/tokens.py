"""Tokens of calls: one for each client and what it asks for, kept until shortly before it ends, got once for all that
wait for it."""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stagedoor import _core
from stagedoor.engine import activities, oauth
from stagedoor.engine.oauth import Token
from stagedoor.engine.unsent import Unsent

if TYPE_CHECKING:
    from stagedoor.engine.conversation import Surroundings

Json = Any

MAX_TOKENS = 1_000
"""Kept; the one that was not used for longest goes first."""
PAUSE_S = 1.0
"""After a failure nobody asks again for so long."""


@dataclass(slots=True)
class _Slot:
    token: Token | None = None
    asking: asyncio.Task[Token] | None = None
    failed: Unsent | None = None
    again: float = 0.0


class Tokens:
    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._slots: OrderedDict[bytes, _Slot] = OrderedDict()

    def of(self, scheme: str, properties: Mapping[str, Json]) -> _Bearer:
        """A proof by a token; whoever asks for the same shares it."""
        text = json.dumps([scheme, properties], sort_keys=True)
        name = hashlib.sha256(text.encode()).digest()
        slot = self._slots.get(name)
        if slot is None:
            slot = self._slots[name] = _Slot()
            if len(self._slots) > MAX_TOKENS:
                self._slots.popitem(last=False)
        self._slots.move_to_end(name)
        return _Bearer(self, slot, scheme, properties)

    async def get(self, slot: _Slot, scheme: str, properties: Mapping[str, Json]) -> Token:
        """Raises ``Unsent``."""
        now = asyncio.get_running_loop().time()
        if slot.token is not None and now < slot.token.renew:
            return slot.token
        if slot.failed is not None and now < slot.again:
            raise Unsent(slot.failed.status, slot.failed.title, slot.failed.detail)
        if slot.asking is None:
            slot.asking = asyncio.get_running_loop().create_task(self._ask(slot, scheme, properties))
            # Its failure is told to whoever waits, and to nobody if nobody does.
            slot.asking.add_done_callback(lambda asked: None if asked.cancelled() else asked.exception())
        # Whoever goes away meanwhile leaves the question to the others.
        return await asyncio.shield(slot.asking)

    async def _ask(self, slot: _Slot, scheme: str, properties: Mapping[str, Json]) -> Token:
        try:
            slot.token = await oauth.ask(scheme, properties, slot.token, self._around)
            slot.failed = None
            return slot.token
        except Unsent as why:
            slot.failed, slot.again = why, asyncio.get_running_loop().time() + PAUSE_S
            raise
        finally:
            slot.asking = None


class _Bearer:
    """RFC 6750."""

    def __init__(self, tokens: Tokens, slot: _Slot, scheme: str, properties: Mapping[str, Json]) -> None:
        self._tokens, self._slot, self._scheme, self._properties = tokens, slot, scheme, properties
        self._used: Token | None = None

    async def value(self, request: activities.Request) -> str | None:
        return await self.known()

    async def known(self) -> str | None:
        self._used = await self._tokens.get(self._slot, self._scheme, self._properties)
        return "Bearer " + self._used.text

    async def renew(self, answer: _core.Answered) -> bool:
        """The service refused the token: another is got, unless somebody has one already."""
        if self._slot.token is self._used and self._used is not None:
            self._used.renew = 0.0
        return True
