"""Clients speak Connect, the service gRPC."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from stagedoor.policies.model import Strict, size, wrong
from stagedoor.policies.translate.descriptors import Descriptors, ServiceName, compile_descriptors
from stagedoor.policies.translate.grpc import JsonRules, compile_json
from stagedoor.policies.unit import Size


def _procedure(value: str) -> str:
    service, _, method = value.partition("/")
    if not service or not method or "/" in method:
        raise wrong("expected a method with its service, for example shop.v1.Catalogue/GetItem")
    return value


class Connect(Strict):
    """Calls of Connect become calls of gRPC; those of gRPC and gRPC-Web pass."""

    descriptors: Descriptors | None = None
    """Where the types come from. Left out: messages are handed on unread, so JSON is refused."""
    services: Annotated[list[ServiceName], Field(max_length=100)] = []
    """Full names of services. Left out: all of the file, of the ``proto`` files, or that the service names."""
    json_rules: Annotated[JsonRules, Field(alias="json")] = JsonRules()
    """How JSON is read and written."""
    get: Annotated[list[Annotated[str, Field(max_length=500), AfterValidator(_procedure)]], Field(max_length=1000)] = []
    """Methods that may be called with ``GET``, beside those whose description says ``NO_SIDE_EFFECTS``."""
    require_version: bool = False
    """Calls must say that they are Connect's: ``Connect-Protocol-Version: 1``, or ``connect=v1`` in the query."""
    message_size: Size = size("4MiB", least="1KiB", most="64MiB")
    """Of one message, either way, when it is not compressed."""


def compile_connect(policy: Connect, folder: Path) -> dict[str, Any]:
    """Its part of the snapshot; ``folder`` is what files are relative to."""
    return {
        "descriptors": None if policy.descriptors is None else compile_descriptors(policy.descriptors, folder),
        "services": list(policy.services),
        "json": compile_json(policy.json_rules),
        "get": list(policy.get),
        "require_version": policy.require_version,
        "message_bytes": int(policy.message_size),
    }
