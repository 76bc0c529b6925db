"""One JSON line for every exchange."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from stagedoor.policies.model import HeaderName, Strict


class AccessLog(Strict):
    """Write one JSON line for every exchange, when it is over. Credentials are never written."""

    path: Annotated[str, Field(min_length=1)] = "stdout"
    """``stdout``, ``stderr``, or a file, relative to the configuration file's folder. It is appended to."""
    headers: Annotated[list[HeaderName], Field(max_length=32)] = []
    """Request headers to record; those that carry credentials are recorded as ``[redacted]``."""
