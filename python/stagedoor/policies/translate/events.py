"""Server-sent events for clients of WebSocket, and the other way round."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from stagedoor.policies.model import Strict, duration, is_token, size, wrong
from stagedoor.policies.unit import Duration, Size

_ALONE = {"event_stream": {"client_messages", "reconnect", "drain"}, "websocket": {"binary"}}
"""Options that one kind of service has alone."""


def _token(value: str) -> str:
    if not is_token(value):
        raise wrong("expected the name of a subprotocol: letters, digits and a few marks, without spaces")
    return value


class Reconnect(Strict):
    """A stream that has ended is asked for again, with the id of its last event."""

    delay: Duration = duration("1s", least="10ms", most="1m")
    """Before the first attempt, unless the stream's ``retry`` says otherwise; doubled with every further one, up to a
    minute."""
    attempts: Annotated[int, Field(ge=1, le=1000)] = 10
    """In a row without an event."""


class TranslateEvents(Strict):
    """Streams that go one way, between event streams (``text/event-stream``) and WebSocket."""

    service: Literal["event_stream", "websocket"]
    """What the cluster speaks. Clients of the other are translated for; those of the same pass as they are."""
    messages: Literal["data", "envelope"] = "data"
    """What a text message of the WebSocket is: an event's data, or a JSON object with ``event``, ``id``, ``data`` and
    ``retry``."""
    client_messages: Literal["refuse", "ignore"] = "refuse"
    """What a client of WebSocket sends: it is closed with code 1008, or nothing becomes of it."""
    binary: Literal["refuse", "base64"] = "refuse"
    """Binary messages of a WebSocket service: they end the stream, or become events with the bytes in base64."""
    last_event_id: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    """Parameter of the query that stands for ``Last-Event-ID`` on the WebSocket's side. Left out: none does."""
    subprotocol: Annotated[str, Field(max_length=100), AfterValidator(_token)] | None = None
    """``Sec-WebSocket-Protocol`` that clients may offer, or that the service is asked for. Left out: none."""
    reconnect: Reconnect | None = None
    """Left out: the end of the service's stream is the end of the WebSocket."""
    keep_alive: Duration = duration("30s", least="100ms", most="1h")
    """Between two pings of a WebSocket, where one that is not answered by the next is the end, or between two comment
    lines of an event stream in which nothing else is said."""
    message_size: Size = size("1MiB", least="1KiB", most="64MiB")
    """Of one event or message, in either direction."""
    connections: Annotated[int, Field(ge=1, le=1_000_000)] = 10_000
    """WebSockets of the route at once; one more is answered with 503."""
    drain: Duration = duration("10s", least="0s", most="1h")
    """How long a WebSocket lives on when the gateway shuts down."""

    @model_validator(mode="after")
    def _fits_the_service(self) -> Self:
        other = "websocket" if self.service == "event_stream" else "event_stream"
        for option in sorted(_ALONE[other] & self.model_fields_set):
            raise wrong(f"'{option}' is for a service that speaks {other}")
        return self


def compile_events(policy: TranslateEvents) -> dict[str, Any]:
    """Its part of the snapshot."""
    if policy.service == "websocket":
        service: dict[str, Any] = {"websocket": {"binary": policy.binary == "base64"}}
    else:
        reconnect = policy.reconnect
        service = {
            "event_stream": {
                "refuse_messages": policy.client_messages == "refuse",
                "drain_ms": int(policy.drain),
                "reconnect": None
                if reconnect is None
                else {"delay_ms": int(reconnect.delay), "attempts": reconnect.attempts},
            }
        }
    return {
        "service": service,
        "envelope": policy.messages == "envelope",
        "last_event_id": policy.last_event_id,
        "subprotocol": policy.subprotocol,
        "keep_alive_ms": int(policy.keep_alive),
        "message_bytes": int(policy.message_size),
        "connections": policy.connections,
    }
