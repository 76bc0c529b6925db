"""Whom calls may reach, and by what they may prove themselves."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from stagedoor.activity import Activity
from stagedoor.workflow.server import Servers

Json = Any


@dataclass(frozen=True, slots=True)
class Reach:
    hosts: Collection[str] = frozenset()
    """Plain ``scheme://HOST:PORT`` that may be called."""
    origins: Mapping[str, str] = field(default_factory=dict)
    """``scheme://HOST:PORT`` → the cluster that has such an endpoint."""
    activities: Mapping[str, Activity[..., Any]] = field(default_factory=dict)
    """Python functions that may be called, by name."""
    secrets: Mapping[str, Json] = field(default_factory=dict, repr=False)
    """By name."""
    servers: Servers = field(default_factory=Servers)
    """Which URLs are called through clusters."""
    places: dict[str, tuple[str, str]] = field(default_factory=dict, compare=False, repr=False)
    """Endpoint → where it was found to be: most are called again and again."""
