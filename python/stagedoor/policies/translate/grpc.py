"""Clients speak HTTP and JSON, the service gRPC."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from stagedoor.policies.model import Strict, size, wrong
from stagedoor.policies.translate.descriptors import Descriptors, ServiceName, compile_descriptors
from stagedoor.policies.unit import Size


def prefix(value: str) -> str:
    if not value.startswith("/") or value.endswith("/"):
        raise wrong("expected a path such as /api, without '/' at its end")
    return value


class JsonRules(Strict):
    """How messages are read from JSON and written as JSON."""

    unknown_fields: Literal["refuse", "ignore"] = "refuse"
    """Members that a message has no field for, and names that an enum has no value for: 400, or passed over."""
    defaults: bool = False
    """Fields that cannot be absent are written also where they have their default: ``0``, ``""``, ``[]``."""
    enums: Literal["names", "numbers"] = "names"
    """How values of enums are written. Both are read."""
    names: Literal["json", "original"] = "json"
    """How fields are named: in lowerCamelCase or by ``json_name``, or as in the ``.proto`` file. Both are read."""


class Grpc(Strict):
    """Which methods of which services are offered, and how."""

    descriptors: Descriptors
    """Where the types come from."""
    services: Annotated[list[ServiceName], Field(max_length=100)] = []
    """Full names of services such as ``shop.v1.Shop``. Left out: all of the file, of the ``proto`` files, or that the
    service names."""
    automatic: bool = False
    """Methods without an annotation are ``POST /package.Service/Method``, with the message as JSON."""
    base_path: Annotated[str, Field(max_length=1000), AfterValidator(prefix)] | None = None
    """What comes before the annotations' paths in the request's path."""
    json_rules: Annotated[JsonRules, Field(alias="json")] = JsonRules()
    """How messages are read from JSON and written as JSON."""
    unknown_query: Literal["refuse", "ignore"] = "refuse"
    """Parameters of the query that the request has no field for: 400, or passed over."""
    max_message: Size = size("4MiB", least="1B", most="64MiB")
    """One message, either way, as JSON and as gRPC sends it; larger ones are 413, or 502 from the service."""
    stream: Literal["array", "ndjson", "sse"] = "array"
    """How a stream of messages is written where ``Accept`` names none of ``application/json``,
    ``application/x-ndjson`` and ``text/event-stream``."""


def compile_grpc(policy: Grpc, folder: Path) -> dict[str, Any]:
    """Its part of the snapshot."""
    return {
        "descriptors": compile_descriptors(policy.descriptors, folder),
        "services": list(policy.services),
        "automatic": policy.automatic,
        "base_path": policy.base_path or "",
        "json": compile_json(policy.json_rules),
        "ignore_unknown_query": policy.unknown_query == "ignore",
        "message_bytes": int(policy.max_message),
        "stream": policy.stream,
    }


def compile_json(rules: JsonRules) -> dict[str, Any]:
    """Its part of the snapshot."""
    return {
        "ignore_unknown_fields": rules.unknown_fields == "ignore",
        "defaults": rules.defaults,
        "enum_numbers": rules.enums == "numbers",
        "original_names": rules.names == "original",
    }
