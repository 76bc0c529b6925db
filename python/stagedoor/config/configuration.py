"""A configuration that was read, checked and found right."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stagedoor.config.problem import Located
from stagedoor.config.settings import Settings


@dataclass(frozen=True, slots=True)
class Configuration:
    """Immutable; what ``compile`` and the engine work from."""

    path: Path
    """The file, absolute. Paths in the configuration are relative to its folder."""
    settings: Settings
    workflows: Mapping[str, Any] = field(default_factory=dict)
    """``namespace/name`` → its ``stagedoor.workflow`` Definition."""
    documents: Mapping[str, Any] = field(default_factory=dict)
    """``namespace/name`` → the document as it was written."""
    files: frozenset[Path] = frozenset()
    """Every file that was read: a change of one of them is a change of the configuration."""
    warnings: tuple[Located, ...] = ()

    @property
    def store(self) -> Path:
        """The engine's database file, absolute."""
        return self.settings.engine.store_path(self.path.parent)
