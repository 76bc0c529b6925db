"""Documents of issuers, fetched through the data plane's clusters: their TLS, time-outs and health are those of all
calls. Redirects are not followed."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

from stagedoor import _core
from stagedoor.errors import StagedoorError
from stagedoor.notices import Notices

TIMEOUT_MS = 5_000
MOST_BYTES = 256 * 1024
"""Of a document."""
FIRST = 1 << 48
"""Numbers of these calls; those of workflows are below."""


class Unfetched(StagedoorError):
    """Why a document is not there."""


class Fetcher:
    def __init__(self, plane: _core.DataPlane, notices: Notices) -> None:
        self._plane = plane
        self._numbers = itertools.count(FIRST)
        self._waiting: dict[int, asyncio.Future[_core.Answered | _core.Unanswered]] = {}
        notices.handle({_core.Answered: self._done, _core.Unanswered: self._done})

    async def get(self, endpoint: dict[str, Any]) -> str:
        """The text of what is there; ``endpoint`` as in the snapshot. Unfetched says why not."""
        number, url = next(self._numbers), endpoint["url"]
        answer: asyncio.Future[_core.Answered | _core.Unanswered] = asyncio.get_running_loop().create_future()
        self._waiting[number] = answer
        headers = [("host", endpoint["authority"]), ("accept", "application/json")]
        try:
            self._plane.call([(number, endpoint["cluster"], "GET", endpoint["path"], headers, None, TIMEOUT_MS, None)])
            notice = await answer
        finally:
            del self._waiting[number]
        if isinstance(notice, _core.Unanswered):
            raise Unfetched(f"{url}: {notice.detail}")
        if notice.status != 200:
            raise Unfetched(f"{url}: it answered {notice.status}")
        if len(notice.body) > MOST_BYTES:
            raise Unfetched(f"{url}: it has more than {MOST_BYTES} bytes")
        try:
            return notice.body.decode()
        except UnicodeDecodeError:
            raise Unfetched(f"{url}: it is not UTF-8") from None

    def _done(self, notice: _core.Answered | _core.Unanswered) -> None:
        waiting = self._waiting.get(notice.call)
        if waiting is not None and not waiting.done():
            waiting.set_result(notice)
