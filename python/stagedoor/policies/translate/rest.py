"""Clients speak gRPC, the service HTTP and JSON."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import AfterValidator, Field, model_validator

from stagedoor.policies.model import Strict, size, wrong
from stagedoor.policies.translate.descriptors import Descriptors, ServiceName, compile_descriptors
from stagedoor.policies.translate.grpc import JsonRules, compile_json, prefix
from stagedoor.policies.unit import Size


class Rest(Strict):
    """Which methods of which services are offered, and how the service is asked."""

    descriptors: Descriptors
    """Where the types come from: ``file`` or ``proto``."""
    services: Annotated[list[ServiceName], Field(max_length=100)] = []
    """Full names of services such as ``shop.v1.Shop``. Left out: all of the file, or of the ``proto`` files."""
    automatic: bool = False
    """Methods without an annotation are ``POST /package.Service/Method``, with the message as JSON."""
    base_path: Annotated[str, Field(max_length=1000), AfterValidator(prefix)] | None = None
    """What comes before the annotations' paths where the service is asked."""
    json_rules: Annotated[JsonRules, Field(alias="json")] = JsonRules(unknown_fields="ignore")
    """How messages are read from JSON and written as JSON. Left out: as elsewhere, with unknown fields ignored."""
    max_message: Size = size("4MiB", least="1B", most="64MiB")
    """One message, either way, as JSON and as gRPC sends it."""

    @model_validator(mode="after")
    def _not_by_reflection(self) -> Self:
        if self.descriptors.reflection is not None:
            raise wrong("the service does not speak gRPC, and has no reflection", "give 'file' or 'proto'")
        return self


def compile_rest(policy: Rest, folder: Path) -> dict[str, Any]:
    """Its part of the snapshot."""
    return {
        "descriptors": compile_descriptors(policy.descriptors, folder),
        "services": list(policy.services),
        "automatic": policy.automatic,
        "base_path": policy.base_path or "",
        "json": compile_json(policy.json_rules),
        "message_bytes": int(policy.max_message),
    }
