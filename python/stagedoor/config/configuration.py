"""A configuration that was read, checked and found right."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stagedoor.config.problem import Located
from stagedoor.config.settings import Settings
from stagedoor.config.wsdl import Reference


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
    descriptions: Mapping[str, Any] = field(default_factory=dict)
    """OpenAPI documents and JSON Schemas by the names that the policies have for them, each in one piece."""
    activities: Mapping[str, Any] = field(default_factory=dict)
    """Name → the ``stagedoor.activity`` Activity that workflows may call."""
    graphql: Mapping[str, Any] = field(default_factory=dict)
    """Schemas and documents of GraphQL by the names that the snapshot has for them."""
    operations: Mapping[Reference, tuple[Any, str]] = field(default_factory=dict)
    """Operations of WSDLs by how policies name them, each with the path of its address."""
    files: frozenset[Path] = frozenset()
    """Every file that was read: a change of one of them is a change of the configuration."""
    pem: Mapping[Path, str] = field(default_factory=dict)
    """Every file of a certificate or key that it names → the SHA-256 of what was in it, empty where it could not be
    read: a change of one of them is a change of the configuration too."""
    warnings: tuple[Located, ...] = ()
    faults: tuple[Located, ...] = ()
    """Errors that can be served with, each naming a file that cannot be used."""

    @property
    def watched(self) -> frozenset[Path]:
        """What to look at for changes."""
        return self.files | self.pem.keys()

    @property
    def store(self) -> Path:
        """The engine's database file, absolute."""
        return self.settings.engine.store_path(self.path.parent)
