"""The metadata of protected resources (RFC 9728), made of what the routes say anyway."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from stagedoor.config.issuer import Issuer
from stagedoor.policies import Policies
from stagedoor.policies.authenticate import Authenticate, Scheme
from stagedoor.policies.authenticate.access_token import AccessToken
from stagedoor.policies.authenticate.resource import Resource
from stagedoor.policies.authorize import AnyScope, Authorize, Conditions

Json = dict[str, Any]
FRESH = "max-age=300"


def protected_resources(routes: dict[str, Policies], issuers: dict[str, Issuer]) -> Iterator[tuple[str, Resource, str]]:
    """For each resource the first route that names it, what that says, and the metadata as text."""
    seen: dict[str, list[str]] = {}
    for name, policies in routes.items():
        if (resource := _resource(policies)) is not None:
            seen.setdefault(resource.identifier, []).append(name)
    for names in seen.values():
        first = _resource(routes[names[0]])
        assert first is not None
        yield names[0], first, json.dumps(_metadata(first, [routes[name] for name in names], issuers))


def _resource(policies: Policies) -> Resource | None:
    return policies.authenticate.resource if isinstance(policies.authenticate, Authenticate) else None


def _metadata(resource: Resource, routes: list[Policies], issuers: dict[str, Issuer]) -> Json:
    tokens = [token for policies in routes for token in _tokens(policies)]
    servers = [issuers[name].issuer for _, names in tokens for name in names if name in issuers]
    scopes = resource.scopes if resource.scopes is not None else _asked(routes)
    proofs = [token.proofs() for token, _ in tokens]
    algorithms: list[str] = [name for dpop in proofs if dpop is not None for name in dpop.algorithms]
    # EdDSA with Ed25519 has two names (RFC 9864).
    algorithms += ["Ed25519"] if "EdDSA" in algorithms else []
    parts: Json = {
        "resource": resource.identifier,
        "authorization_servers": _once(server for server in servers if server.startswith(("https://", "http://"))),
        "scopes_supported": _once(scopes),
        "bearer_methods_supported": ["header"],
        "resource_name": resource.name,
        "resource_documentation": resource.documentation,
        "resource_policy_uri": resource.policy,
        "resource_tos_uri": resource.terms,
        "tls_client_certificate_bound_access_tokens": all(token.bound == "mtls" for token, _ in tokens) or None,
        "dpop_signing_alg_values_supported": _once(algorithms),
        "dpop_bound_access_tokens_required": all(dpop is not None and dpop.mode == "required" for dpop in proofs)
        or None,
    }
    return {name: value for name, value in parts.items() if value not in (None, [])}


def _tokens(policies: Policies) -> Iterator[tuple[AccessToken, list[str]]]:
    """The schemes that take access tokens, with the names of their issuers."""
    if isinstance(policies.authenticate, Authenticate):
        for scheme in policies.authenticate.schemes():
            if isinstance(scheme, Scheme) and scheme.jwt is not None:
                yield scheme.jwt, list(scheme.jwt.issuers)
            if isinstance(scheme, Scheme) and scheme.introspection is not None:
                yield scheme.introspection, [scheme.introspection.issuer]


def _asked(routes: list[Policies]) -> Iterator[str]:
    for policies in routes:
        if isinstance(policies.authorize, Authorize):
            conditions: list[Conditions] = [policies.authorize, *policies.authorize.any]
            for each in conditions:
                yield from each.scopes.any if isinstance(each.scopes, AnyScope) else each.scopes


def _once(texts: Any) -> list[str]:
    return list(dict.fromkeys(texts))


def host(resource: Resource) -> str:
    """As a route names it."""
    name = urlsplit(resource.identifier).hostname or ""
    return f"[{name}]" if ":" in name else name
