"""A NATS broker: where events go, each until the server, or a stream, says that it has it.

The client's own reconnection is off: it would take a message that it only keeps in memory for one that was sent.
"""

from __future__ import annotations

import asyncio
import logging
import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from stagedoor.engine import cloud_events

if TYPE_CHECKING:
    from nats.aio.client import Client, RawCredentials

CONNECT_S = 5.0
"""For a connection, whichever of the servers gives it."""
ANSWER_S = 10.0
"""For the word that an event is there."""
MAX_TYPE = 200
"""Characters of an event's type that a subject takes over."""
_FORBIDDEN = re.compile(r"[\s*>\x00-\x1f\x7f]")

Json = Any
log = logging.getLogger("stagedoor.engine")


@dataclass(frozen=True, slots=True)
class Settings:
    """Which broker, and what of it is used."""

    servers: tuple[str, ...]
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    nkey: str | None = field(default=None, repr=False)
    """A seed."""
    creds: str | None = None
    """The file of the next one."""
    credentials: Callable[[], str] | None = field(default=None, repr=False, compare=False)
    """A JWT and a seed, for each connection anew. May raise OSError and ValueError."""
    tls: ssl.SSLContext | None = field(default=None, repr=False, compare=False)
    ca: str | None = None
    subject: str | None = None
    """Where events are sent; ``{type}`` stands for the type."""
    jetstream: bool = True
    stream: str | None = None
    """Where events come from."""
    durable: str = ""
    filter: str | None = None


class Broker:
    """One connection, made when it is wanted and again when it is lost."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._client: Client | None = None
        self._connecting = asyncio.Lock()

    async def send(self, event: Json) -> str | None:
        """Why it was not taken."""
        from nats.errors import Error

        settings = self.settings
        assert settings.subject is not None
        fields, body = cloud_events.message(event, structured=True)
        # What a stream drops duplicates by, within its window; those who listen may do the same at any time.
        headers = {**dict(fields), "Nats-Msg-Id": quote(f"{event['source']} {event['id']}", safe="/:#~!")}
        try:
            client = await self.client()
            where = subject(settings.subject, event["type"])
            if settings.jetstream:
                await client.jetstream().publish(where, body, timeout=ANSWER_S, headers=headers)
            else:
                await client.publish(where, body, headers=headers)
                await client.flush(int(ANSWER_S))
        except (Error, OSError, TimeoutError) as error:
            return told(error)
        return None

    async def client(self) -> Client:
        """Raises the library's errors, OSError and TimeoutError."""
        from nats.aio.client import Client

        async with self._connecting:
            if self._client is not None and self._client.is_connected:
                return self._client
            await self._close()
            settings = self.settings
            options: dict[str, Any] = {
                "user": settings.user,
                "password": settings.password,
                "token": settings.token,
                "nkeys_seed_str": settings.nkey,
                "user_credentials": await _credentials(settings),
            }
            client = self._client = Client()
            if settings.tls is not None:
                options["tls"] = settings.tls
            connected = client.connect(
                list(settings.servers),
                error_cb=_quiet,
                name="stagedoor",
                allow_reconnect=False,
                connect_timeout=int(CONNECT_S),
                **{name: value for name, value in options.items() if value is not None},
            )
            await asyncio.wait_for(connected, CONNECT_S)
            return client

    async def stop(self) -> None:
        async with self._connecting:
            await self._close()

    async def _close(self) -> None:
        client, self._client = self._client, None
        if client is not None and not client.is_closed:
            await client.close()


def subject(pattern: str, type: str) -> str:
    """The type as parts of a subject: what cannot be in one is ``_``."""
    parts = [part or "_" for part in _FORBIDDEN.sub("_", type[:MAX_TYPE]).split(".")]
    return pattern.replace("{type}", ".".join(parts))


def told(error: BaseException) -> str:
    """What went wrong, in words that name no credential."""
    from nats.js.errors import NoStreamResponseError

    if isinstance(error, NoStreamResponseError):
        return "no stream of the broker takes its subject"
    return f"the broker cannot be used: {type(error).__name__}: {error}"[:500]


async def _credentials(settings: Settings) -> RawCredentials | None:
    from nats.aio.client import RawCredentials

    if settings.credentials is None:
        return None
    try:
        return RawCredentials(await asyncio.to_thread(settings.credentials))
    except ValueError as wrong:
        raise ConnectionError(f"the file '{settings.creds}' cannot be used: {wrong}") from None


async def _quiet(error: Exception) -> None:
    """The library's own words on what is told by whoever waits for it."""
    log.debug("broker: %s", error)
