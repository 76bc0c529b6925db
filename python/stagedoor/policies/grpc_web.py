"""gRPC-Web for services that speak gRPC."""

from __future__ import annotations

from stagedoor.policies.model import Strict


class GrpcWeb(Strict):
    """Calls of gRPC-Web, binary or text, reach the target as gRPC, and its answers come back as the client reads them.
    Requests of other kinds pass as they are."""
