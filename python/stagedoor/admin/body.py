"""Bodies of requests."""

from __future__ import annotations

import json
from typing import Any

Json = Any


def read(text: str) -> Json:
    """ValueError: it is not JSON, or can be written nowhere: NaN, endless numbers, halves of characters, too deep a
    nesting."""
    try:
        value = json.loads(text)
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except RecursionError:
        raise ValueError("it is nested too deep") from None
    return value
