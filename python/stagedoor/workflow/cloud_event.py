"""Events as CloudEvents 1.0 describes them (JSON format): checked, read, and named."""

from __future__ import annotations

import base64
import binascii
import json
import re
from datetime import datetime
from typing import Any, Literal

Json = Any
Read = Literal["data", "envelope", "raw"]

MAX_BYTES = 256 * 1024
"""Of one event as JSON."""
REQUIRED = ("id", "source", "type")
URIS = ("source", "dataschema")
_NAME = re.compile(r"[a-z0-9]{1,64}\Z")
_TIME = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)\Z")


def check(event: Json) -> None:
    """Raises ``ValueError`` with a sentence (CloudEvents 1.0.2, 3)."""
    if not isinstance(event, dict):
        raise ValueError("an event is an object")
    if event.get("specversion") != "1.0":
        raise ValueError("specversion is '1.0'")
    for name in REQUIRED:
        if not isinstance(event.get(name), str) or not event[name]:
            raise ValueError(f"{name} is missing, or no text")
    for name, value in event.items():
        if name in ("data", "data_base64"):
            continue
        if not _NAME.match(name):
            raise ValueError(f"{name[:64]!r} is no attribute's name: lower-case letters and digits, at most 64")
        if not isinstance(value, str | bool | int):
            raise ValueError(f"the attribute {name} is neither text, nor a whole number, nor true or false")
    if "time" in event and not is_time(event["time"]):
        raise ValueError("time is not as RFC 3339 writes it")
    if "data_base64" in event:
        if "data" in event:
            raise ValueError("an event has data or data_base64, and not both")
        try:
            base64.b64decode(event["data_base64"], validate=True)
        except (TypeError, ValueError, binascii.Error):
            raise ValueError("data_base64 is not base64") from None


def is_time(value: Json) -> bool:
    if not isinstance(value, str) or not _TIME.match(value):
        return False
    try:
        datetime.fromisoformat(value.upper())
    except ValueError:
        return False
    return True


def key(event: Json) -> tuple[str, str]:
    """What makes an event this one (CloudEvents 1.0.2, 3.1.1)."""
    return event["source"], event["id"]


def read(event: Json, how: Read) -> Json:
    """``raw``: the data as text, base64 where it is binary."""
    if how == "envelope":
        return event
    if how == "data":
        return data(event)
    if "data_base64" in event:
        return event["data_base64"]
    found = event.get("data")
    return found if isinstance(found, str) or found is None else json.dumps(found, separators=(",", ":"))


def data(event: Json) -> Json:
    """The data; binary ones in base64."""
    return event["data_base64"] if "data_base64" in event else event.get("data")
