"""What the kinds of credentials beside API keys have in common: each is what one scheme of ``authenticate`` takes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

from stagedoor.registry.model import Rights, Rotation
from stagedoor.registry.store import Row

Json = Any


@dataclass(frozen=True, slots=True)
class Made:
    """A credential as it is kept, and what of it is shown once."""

    mark: str
    """What of a request finds it. Of one kind, all with one mark are of one consumer."""
    settings: Json = field(repr=False)
    once: Json = field(default_factory=dict, repr=False)


class Kind(Protocol):
    """``name`` is the scheme's, ``part`` is where the data plane finds them."""

    name: str
    part: str
    new: type[Rights]
    again: type[Rotation]
    most: int
    """Of one mark."""

    def make(self, consumer: str, asked: Any) -> Made: ...
    def remake(self, old: Row, asked: Any) -> Made:
        """Another one in place of ``old``."""

    def shown(self, row: Row) -> Json:
        """Its own part, without what is secret."""

    def compile(self, row: Row) -> Json:
        """What the data plane is told."""
