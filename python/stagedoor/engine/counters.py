"""What an engine counts from its start on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import get_args

from stagedoor.engine.execution import STATUS
from stagedoor.workflow.events import Limit


@dataclass(slots=True)
class Counters:
    started: int = 0
    recovered: int = 0
    broken: int = 0
    restarted: int = 0
    migrated: int = 0
    blobs: int = 0
    """Payloads that are kept beside the log."""
    blob_bytes: int = 0
    limited: dict[str, int] = field(default_factory=lambda: dict.fromkeys(get_args(Limit), 0))
    finished: dict[str, int] = field(default_factory=lambda: dict.fromkeys(STATUS.values(), 0))
