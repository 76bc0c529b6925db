"""CloudEvents over HTTP (HTTP Protocol Binding 1.0.2): binary, structured and batched, in and out."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote, unquote

from stagedoor.engine.record import decode_json, encode_json
from stagedoor.workflow import cloud_event

MAX_BATCH = 1000
"""Events of one request."""

NESTING = 128
"""Of an event: an expression over many of them has room for them all."""

Json = Any
_SAFE = "".join(chr(each) for each in range(0x21, 0x7F) if chr(each) not in '"%')
_CE = re.compile(r"ce-([a-z0-9]+)\Z")


def parse(headers: Sequence[tuple[str, str]], body: bytes) -> list[Json]:
    """The events of a request, each of them right. ValueError says what is wrong."""
    fields = {name.lower(): value for name, value in headers}
    kind = fields.get("content-type", "")
    media = kind.partition(";")[0].strip().lower()
    if media == "application/cloudevents-batch+json":
        events = _json(body)
        if not isinstance(events, list):
            raise ValueError("a batch is a list of events")
        if len(events) > MAX_BATCH:
            raise ValueError(f"a batch has at most {MAX_BATCH} events")
    elif media == "application/cloudevents+json":
        events = [_json(body)]
    elif media.startswith("application/cloudevents"):
        raise ValueError(f"events of the format {media[:64]!r} are not known here, only JSON")
    else:
        events = [_binary(fields, kind, media, body)]
    for event in events:
        cloud_event.check(event)
        if len(json.dumps(event, ensure_ascii=False)) > cloud_event.MAX_BYTES:
            raise ValueError(f"an event is larger than {cloud_event.MAX_BYTES} bytes")
    return events


def message(event: Json, *, structured: bool) -> tuple[list[tuple[str, str]], bytes]:
    """Header fields and body of a request that carries an event."""
    if structured:
        return [("content-type", "application/cloudevents+json")], json.dumps(event, separators=(",", ":")).encode()
    headers = []
    for name, value in event.items():
        if name not in ("data", "data_base64", "datacontenttype"):
            text = ("true" if value else "false") if isinstance(value, bool) else str(value)
            headers.append((f"ce-{name}", quote(text.encode("utf-8", "replace"), safe=_SAFE + " ")))
    kind = event.get("datacontenttype", "application/json")
    if "data" in event or "data_base64" in event:
        headers.append(("content-type", re.sub(r"[^\x20-\x7e]", "?", kind)))
    if "data_base64" in event:
        return headers, base64.b64decode(event["data_base64"])
    if "data" not in event:
        return headers, b""
    data = event["data"]
    if isinstance(data, str) and not _is_json(kind.partition(";")[0].strip().lower()):
        return headers, data.encode("utf-8", "replace")
    return headers, encode_json(data).encode()


def _binary(fields: dict[str, str], kind: str, media: str, body: bytes) -> Json:
    event: dict[str, Json] = {}
    for name, value in fields.items():
        match = _CE.match(name)
        if match is not None:
            event[match[1]] = unquote(value.strip('"'))
    if not event:
        raise ValueError("no event: send application/cloudevents+json, a batch of it, or ce- headers")
    if kind:
        event["datacontenttype"] = kind
    if body:
        if not media or _is_json(media):
            event["data"] = _json(body)
        elif media.startswith("text/"):
            event["data"] = body.decode("utf-8", "replace")
        else:
            event["data_base64"] = base64.b64encode(body).decode("ascii")
    return event


def _json(body: bytes) -> Json:
    try:
        return decode_json(body.decode(), NESTING)
    except (ValueError, RecursionError):
        raise ValueError("the body is not JSON") from None


def _is_json(media: str) -> bool:
    return media == "application/json" or media.endswith("+json")
