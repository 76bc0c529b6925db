"""Events as rows of the event log and back: type, time, and the other fields as JSON."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from dataclasses import fields
from typing import Any, NoReturn, get_args

from stagedoor.workflow.events import Event

BLOBS = "blobs"
"""Where the JSON of an event says which of its fields are kept beside the log: field → hash."""
CLASSES: dict[str, type[Event]] = {cls.__name__: cls for cls in get_args(Event)}
NESTING, BITS = 256, 4096
"""Of values: the bounds of expressions."""
_LONG = re.compile(r"(?<!\d)\d{1233}")
"""Digits of the shortest integer that may have more bits."""
_FIELDS = {cls: tuple(field.name for field in fields(cls) if field.name != "at") for cls in CLASSES.values()}


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError(f"{text[:20]} is too large a number")
    return value


_decoder = json.JSONDecoder(parse_constant=_no_constant, parse_float=_number)
_scan: Callable[[str, int], tuple[Any, int]] = _decoder.scan_once  # type: ignore[attr-defined]
encode_text = json.encoder.encode_basestring_ascii


def _encoder() -> Callable[[Any], str]:
    """ASCII only, so that a lone surrogate in somebody's JSON survives as the escape it came as; never NaN. No check
    for circles: what is encoded was decoded from JSON or made by an expression."""
    encoder = json.JSONEncoder(separators=(",", ":"), allow_nan=False, check_circular=False)
    make = getattr(json.encoder, "c_make_encoder", None)
    if make is None:
        return encoder.encode
    # As `JSONEncoder.encode` does it, which makes this anew for each value.
    chunks = make(None, encoder.default, encode_text, None, ":", ",", False, False, False)
    return lambda value: "".join(chunks(value, 0))


encode_json = _encoder()


def decode_json(text: str, nesting: int = NESTING) -> Any:
    """ValueError: it is not JSON; NaN is not. Nor is what no expression can hold: halves of characters, and numbers or
    a nesting beyond their bounds."""
    try:
        value, end = _scan(text, 0)
    except StopIteration:
        # White space before it, or a mistake, which this says.
        value = _decoder.decode(text)
    else:
        if end != len(text) and text[end:].strip(" \t\r\n"):
            _decoder.decode(text)
    if "\\u" in text:
        try:
            json.dumps(value, ensure_ascii=False).encode()
        except UnicodeEncodeError:
            raise ValueError("it holds half a character, a lone surrogate") from None
    if text.count("[") + text.count("{") > nesting or _LONG.search(text):
        _within(value, nesting)
    return value


def _within(value: Any, levels: int) -> None:
    if isinstance(value, int) and value.bit_length() > BITS:
        raise ValueError(f"an integer has more than {BITS} bits")
    if isinstance(value, dict | list):
        if levels == 0:
            raise ValueError("it is nested too deep")
        for item in value.values() if isinstance(value, dict) else value:
            _within(item, levels - 1)


canonical_json = json.JSONEncoder(separators=(",", ":"), allow_nan=False, sort_keys=True).encode


def encode(event: Event) -> str:
    """The ``data`` column. ValueError when a value is not JSON."""
    return encode_json({name: getattr(event, name) for name in _FIELDS[type(event)]})


def encode_fields(event: Event) -> dict[str, str]:
    """Each field as JSON. ValueError when one is not JSON."""
    return {name: encode_json(getattr(event, name)) for name in _FIELDS[type(event)]}


def encode_completed(call: str, status: int, content: str) -> str:
    """``encode`` of a ``CallCompleted`` without headers whose content is JSON text already."""
    return f'{{"call":{encode_text(call)},"status":{status},"content":{content},"headers":{{}}}}'


def decode(type: str, at: float, data: str, read: Callable[[str], str] | None = None) -> Event:
    """``read`` yields what is kept beside the log, by its hash. Raises ``KeyError``, ``TypeError``, ``ValueError``."""
    values: dict[str, Any] = json.loads(data)
    blobs = values.pop(BLOBS, None)
    if blobs is not None:
        if read is None:
            raise ValueError("a part of the event is kept elsewhere")
        values.update({name: json.loads(read(hash)) for name, hash in blobs.items()})
    return CLASSES[type](at=at, **values)
