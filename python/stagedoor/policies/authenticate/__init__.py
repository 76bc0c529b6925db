"""Who calls: the credential that proves it."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Discriminator, Field, Tag, model_validator

from stagedoor.policies.authenticate.api_key import ApiKey, compile_api_key
from stagedoor.policies.authenticate.basic import Basic, compile_basic
from stagedoor.policies.authenticate.introspection import Introspection, compile_introspection
from stagedoor.policies.authenticate.jwt import Jwt, compile_jwt
from stagedoor.policies.authenticate.mtls import Mtls, compile_mtls
from stagedoor.policies.authenticate.oidc import Oidc, compile_oidc
from stagedoor.policies.authenticate.resource import Resource
from stagedoor.policies.authenticate.signature import Signature, compile_signature
from stagedoor.policies.authenticate.webhook import Webhook, compile_webhook
from stagedoor.policies.model import Name, Scope, Strict, wrong

Json = dict[str, Any]


class Scheme(Strict):
    """One way to prove who calls, with its settings: exactly one of these keys."""

    api_key: ApiKey | None = None
    """A key in a header or in the query."""
    basic: Basic | None = None
    """A name and a password (RFC 7617)."""
    introspection: Introspection | None = None
    """A token that its issuer is asked about (RFC 7662)."""
    jwt: Jwt | None = None
    """A signed token of a known issuer (RFC 7519)."""
    mtls: Mtls | None = None
    """The client certificate that the listener has verified."""
    oidc: Oidc | None = None
    """Login of browsers with OpenID Connect. The last one of a list, because it answers who has no session."""
    signature: Signature | None = None
    """A request signed by a key of a consumer (RFC 9421)."""
    webhook: Webhook | None = None
    """A message signed with a shared secret (Standard Webhooks)."""

    @model_validator(mode="after")
    def _exactly_one(self) -> Self:
        if len(self.model_fields_set) != 1:
            raise wrong("expected exactly one scheme; another one is another entry of the list")
        return self


def _shape(value: Any) -> str:
    return "<name>" if isinstance(value, str) else "<settings>"


AnyScheme = Annotated[
    Annotated[Literal["api_key", "basic", "mtls", "signature"], Tag("<name>")] | Annotated[Scheme, Tag("<settings>")],
    Discriminator(_shape),
]


Schemes = Annotated[list[AnyScheme], Field(min_length=1, max_length=8)]


class Anonymous(Strict):
    """Who it is that presents no credential at all. What it may do is decided by what it is given here."""

    groups: Annotated[list[Name], Field(max_length=100)] = []
    """Groups to which it belongs."""
    scopes: Annotated[list[Scope], Field(max_length=100)] = []
    """Scopes that it has."""
    plan: Name | None = None
    """The plan whose limits hold for it, counted for each address."""


class Authenticate(Strict):
    """Only known consumers pass; others are answered with 401. Exactly one of ``any`` and ``all``."""

    any: Schemes | None = None
    """Ways to prove who calls, each a name, or a name with its settings: ``{api_key: {header: …}}``. The first that
    finds its credential decides; a wrong credential never falls through to the next."""
    all: Schemes | None = None
    """Ways of which each must find its credential, all of them of the same consumer. Groups, scopes and plan are those
    of the first."""
    anonymous: Anonymous | None = None
    """Lets in who presents no credential at all. A wrong credential is refused all the same."""
    resource: Resource | None = None
    """Tells clients where their tokens come from (RFC 9728). For ``jwt`` and ``introspection``."""

    def schemes(self) -> list[AnyScheme]:
        return self.any or self.all or []

    @model_validator(mode="after")
    def _any_or_all(self) -> Self:
        if (self.any is None) == (self.all is None):
            raise wrong("expected 'any' or 'all', a list of ways to prove who calls, and not both")
        return self

    @model_validator(mode="after")
    def _oidc_comes_last(self) -> Self:
        logins = [isinstance(scheme, Scheme) and scheme.oidc is not None for scheme in self.schemes()]
        if any(logins[:-1]):
            raise wrong(
                "'oidc' must be the last of its list: it sends users to log in, and no scheme after it is asked"
            )
        if any(logins) and self.anonymous is not None:
            raise wrong("'oidc' and 'anonymous' do not go together: who has no session is sent to log in")
        return self

    @model_validator(mode="after")
    def _a_resource_takes_tokens(self) -> Self:
        tokens = [each for each in self.schemes() if isinstance(each, Scheme) and (each.jwt or each.introspection)]
        if self.resource is not None and not tokens:
            raise wrong("'resource' is for clients with tokens: there is neither 'jwt' nor 'introspection'")
        return self


def compile_authenticate(policy: Authenticate) -> Json:
    """Its part of the snapshot."""
    parts: Json = {}
    if policy.any is not None:
        parts["any"] = [_compile(scheme) for scheme in policy.any]
    if policy.all is not None:
        parts["all"] = [_compile(scheme) for scheme in policy.all]
    if policy.anonymous is not None:
        parts["anonymous"] = policy.anonymous.model_dump()
    if policy.resource is not None:
        parts["resource_metadata"] = policy.resource.url()
    return parts


def _compile(scheme: Literal["api_key", "basic", "mtls", "signature"] | Scheme) -> Json:
    """A name alone is a scheme with its defaults."""
    if isinstance(scheme, str):
        scheme = Scheme.model_validate({scheme: {}})
    parts: Json = {}
    if scheme.api_key is not None:
        parts["api_key"] = compile_api_key(scheme.api_key)
    if scheme.basic is not None:
        parts["basic"] = compile_basic(scheme.basic)
    if scheme.introspection is not None:
        parts["introspection"] = compile_introspection(scheme.introspection)
    if scheme.jwt is not None:
        parts["jwt"] = compile_jwt(scheme.jwt)
    if scheme.mtls is not None:
        parts["mtls"] = compile_mtls(scheme.mtls)
    if scheme.oidc is not None:
        parts["oidc"] = compile_oidc(scheme.oidc)
    if scheme.signature is not None:
        parts["signature"] = compile_signature(scheme.signature)
    if scheme.webhook is not None:
        parts["webhook"] = compile_webhook(scheme.webhook)
    return parts
