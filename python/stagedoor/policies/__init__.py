"""What a user may ask for on a route: one file each, named as in the configuration. A closed set."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

from pydantic import Discriminator, Field, Tag

from stagedoor.policies.access_log import AccessLog
from stagedoor.policies.authenticate import Authenticate
from stagedoor.policies.authorize import Authorize
from stagedoor.policies.cache import Cache
from stagedoor.policies.compress import Compress
from stagedoor.policies.cors import Cors
from stagedoor.policies.csrf import Csrf
from stagedoor.policies.graphql import Graphql
from stagedoor.policies.grpc_web import GrpcWeb
from stagedoor.policies.headers import Headers
from stagedoor.policies.hsts import Hsts
from stagedoor.policies.limits import Limits
from stagedoor.policies.model import Strict
from stagedoor.policies.rate_limit import RateLimits
from stagedoor.policies.request_id import RequestId
from stagedoor.policies.security_headers import SecurityHeaders
from stagedoor.policies.transform import TransformRequest, TransformResponse
from stagedoor.policies.translate import Translate
from stagedoor.policies.upgrade import Upgrade
from stagedoor.policies.validate import Validate

T = TypeVar("T")
Off = Literal["off"]


def _switch(value: Any) -> str:
    return "<off>" if isinstance(value, str) else "<on>"


Switch = Annotated[Annotated[Off, Tag("<off>")] | Annotated[T, Tag("<on>")], Discriminator(_switch)]


class Policies(Strict):
    """What holds on a route. A key here replaces the default of the same name as a whole; ``off`` removes it."""

    limits: Switch[Limits] | None = None
    """Bounds of one exchange."""
    request_id: Switch[RequestId] | None = None
    """An identity for every request."""
    access_log: Switch[AccessLog] | None = None
    """One JSON line for every exchange."""
    cors: Switch[Cors] | None = None
    """Which web pages may call."""
    authenticate: Switch[Authenticate] | None = None
    """Who may call."""
    csrf: Switch[Csrf] | None = None
    """No other site's page asks in a user's name."""
    authorize: Switch[Authorize] | None = None
    """What a caller may do."""
    rate_limit: Switch[RateLimits] | None = None
    """How often a caller may call."""
    validation: Annotated[Switch[Validate] | None, Field(alias="validate")] = None
    """What requests and responses look like."""
    graphql: Switch[Graphql] | None = None
    """What clients may ask a service of GraphQL."""
    cache: Switch[Cache] | None = None
    """Responses are kept and used again."""
    transform_request: Switch[TransformRequest] | None = None
    """What the target gets in place of the client's request."""
    transform_response: Switch[TransformResponse] | None = None
    """What the client gets in place of the target's answer."""
    translate: Switch[Translate] | None = None
    """The target speaks another protocol than the client."""
    grpc_web: Switch[GrpcWeb] | None = None
    """Browsers may call a service that speaks gRPC."""
    upgrade: Switch[Upgrade] | None = None
    """Clients may go over to another protocol: WebSocket."""
    compress: Switch[Compress] | None = None
    """Responses are compressed for clients that accept it."""
    hsts: Switch[Hsts] | None = None
    """Browsers are told to come over HTTPS only."""
    security_headers: Switch[SecurityHeaders] | None = None
    """Browsers are told to be careful."""
    headers: Switch[Headers] | None = None
    """Headers to remove, set and add."""

    def over(self, defaults: Policies) -> Policies:
        """These on top of ``defaults``, key by key."""
        given = {name: value for name in type(self).model_fields if (value := getattr(self, name)) is not None}
        return defaults.model_copy(update=given)


BUILT_IN = Policies(limits=Limits())
"""What holds on every route unless the configuration says otherwise."""

__all__ = ["BUILT_IN", "Policies"]
