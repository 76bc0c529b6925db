"""The target speaks another protocol than the client: one file for each kind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

from pydantic import model_validator

from stagedoor.policies.model import Strict, wrong
from stagedoor.policies.translate.connect import Connect, compile_connect
from stagedoor.policies.translate.descriptors import Descriptors
from stagedoor.policies.translate.events import TranslateEvents, compile_events
from stagedoor.policies.translate.graphql import TranslateGraphql, compile_graphql
from stagedoor.policies.translate.grpc import Grpc, compile_grpc
from stagedoor.policies.translate.rest import Rest, compile_rest
from stagedoor.policies.translate.soap import Soap, compile_soap

Json = dict[str, Any]


class Translate(Strict):
    """The target speaks another protocol than the client. Exactly one of these keys."""

    graphql: TranslateGraphql | None = None
    """Clients speak HTTP, the service GraphQL: a stored operation answers the route."""
    connect: Connect | None = None
    """Clients speak Connect, the service gRPC."""
    events: TranslateEvents | None = None
    """Streams that go one way, as server-sent events and over WebSocket."""
    grpc: Grpc | None = None
    """Clients speak HTTP and JSON, the service gRPC."""
    rest: Rest | None = None
    """Clients speak gRPC, the service HTTP and JSON."""
    soap: Soap | None = None
    """Clients speak HTTP and JSON, the service SOAP."""

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if len(self.model_fields_set) != 1:
            raise wrong(f"expected exactly one kind of translation: {', '.join(_COMPILE)}")
        return self

    def descriptors(self) -> tuple[str, Descriptors] | None:
        """The kind that has descriptors, and those."""
        if self.connect is not None and self.connect.descriptors is not None:
            return "connect", self.connect.descriptors
        if self.grpc is not None:
            return "grpc", self.grpc.descriptors
        if self.rest is not None:
            return "rest", self.rest.descriptors
        return None


_COMPILE: dict[str, Callable[[Any, Path], Json]] = {
    "connect": compile_connect,
    "events": lambda policy, folder: compile_events(policy),
    "graphql": compile_graphql,
    "grpc": compile_grpc,
    "rest": compile_rest,
    "soap": compile_soap,
}


def compile_translate(policy: Translate, folder: Path) -> Json:
    """Its part of the snapshot; ``folder`` is what files are relative to."""
    return {kind: _COMPILE[kind](getattr(policy, kind), folder) for kind in policy.model_fields_set}
