"""JSON on the command line: as it stands, or ``@FILE``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stagedoor.engine.record import decode_json
from stagedoor.errors import StagedoorError

Json = Any


class NotJson(StagedoorError):
    """An argument is no JSON."""


def json_value(option: str, text: str) -> Json:
    """Raises ``NotJson``, ``OSError``."""
    source = Path(text[1:]).read_text("utf-8") if text.startswith("@") else text
    try:
        return decode_json(source)
    except ValueError as error:
        raise NotJson(f"{option} is not JSON: {error}") from None
