"""Policies → their part of the snapshot. Pure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from stagedoor.policies import Policies
from stagedoor.policies.access_log import AccessLog
from stagedoor.policies.authenticate import Authenticate, compile_authenticate
from stagedoor.policies.authorize import Authorize, compile_authorize
from stagedoor.policies.cache import Cache, compile_cache
from stagedoor.policies.compress import Compress
from stagedoor.policies.cors import Cors
from stagedoor.policies.csrf import Csrf, compile_csrf
from stagedoor.policies.graphql import Graphql, compile_graphql
from stagedoor.policies.grpc_web import GrpcWeb
from stagedoor.policies.headers import HeaderChanges, Headers
from stagedoor.policies.hsts import Hsts
from stagedoor.policies.limits import Limits
from stagedoor.policies.rate_limit import ByHeader, RateLimit
from stagedoor.policies.request_id import RequestId
from stagedoor.policies.security_headers import SecurityHeaders, compile_security_headers
from stagedoor.policies.transform import (
    TransformRequest,
    TransformResponse,
    compile_transform_request,
    compile_transform_response,
)
from stagedoor.policies.translate import Translate, compile_translate
from stagedoor.policies.upgrade import Upgrade
from stagedoor.policies.validate import Validate, compile_validate

Json = dict[str, Any]


def compile_policies(policies: Policies, route: str, folder: Path) -> Json:
    """``route`` is the counters' identity, ``folder`` is what log paths are relative to. What is off is left out."""
    parts: Json = {}
    if isinstance(policies.limits, Limits):
        request = policies.limits.request
        parts["limits"] = {
            "body_bytes": int(policies.limits.body),
            "request_ms": None if request is None else int(request),
            "stream_idle_ms": int(policies.limits.stream_idle),
        }
    if isinstance(policies.request_id, RequestId):
        parts["request_id"] = {"header": policies.request_id.header, "accept": policies.request_id.accept}
    if isinstance(policies.access_log, AccessLog):
        parts["access_log"] = _access_log(policies.access_log, folder)
    if isinstance(policies.cors, Cors):
        parts["cors"] = _cors(policies.cors)
    if isinstance(policies.authenticate, Authenticate):
        parts["authenticate"] = compile_authenticate(policies.authenticate)
    if isinstance(policies.csrf, Csrf):
        parts["csrf"] = compile_csrf(policies.csrf)
    if isinstance(policies.authorize, Authorize):
        parts["authorize"] = compile_authorize(policies.authorize)
    if isinstance(policies.rate_limit, list):
        parts["rate_limit"] = [_rate_limit(rule, f"{route}/{index}") for index, rule in enumerate(policies.rate_limit)]
    if isinstance(policies.validation, Validate):
        parts["validate"] = compile_validate(policies.validation)
    if isinstance(policies.graphql, Graphql):
        parts["graphql"] = compile_graphql(policies.graphql)
    if isinstance(policies.cache, Cache):
        parts["cache"] = compile_cache(policies.cache)
    if isinstance(policies.transform_request, TransformRequest):
        parts["transform_request"] = compile_transform_request(policies.transform_request)
    if isinstance(policies.transform_response, TransformResponse):
        parts["transform_response"] = compile_transform_response(policies.transform_response)
    if isinstance(policies.translate, Translate):
        parts["translate"] = compile_translate(policies.translate, folder)
    if isinstance(policies.grpc_web, GrpcWeb):
        parts["grpc_web"] = {}
    if isinstance(policies.upgrade, Upgrade):
        parts["upgrade"] = {
            "protocols": list(policies.upgrade.protocols),
            "idle_ms": int(policies.upgrade.idle),
            "drain_ms": int(policies.upgrade.drain),
            "connections": policies.upgrade.connections,
        }
    if isinstance(policies.compress, Compress):
        parts["compress"] = _compress(policies.compress)
    if isinstance(policies.hsts, Hsts):
        parts["hsts"] = {
            "max_age_s": int(policies.hsts.max_age) // 1000,
            "include_subdomains": policies.hsts.include_subdomains,
            "preload": policies.hsts.preload,
        }
    if isinstance(policies.security_headers, SecurityHeaders):
        parts["security_headers"] = compile_security_headers(policies.security_headers)
    if isinstance(policies.headers, Headers):
        parts["headers"] = {
            "request": _changes(policies.headers.request),
            "response": _changes(policies.headers.response),
        }
    return parts


def _access_log(policy: AccessLog, folder: Path) -> Json:
    standard = policy.path in ("stdout", "stderr")
    return {"path": policy.path if standard else str(folder / policy.path), "headers": list(policy.headers)}


def _cors(policy: Cors) -> Json:
    return {
        "origins": list(policy.origins),
        "methods": list(policy.methods),
        "headers": list(policy.headers),
        "expose": list(policy.expose),
        "credentials": policy.credentials,
        "private_network": policy.private_network,
        "max_age_s": int(policy.max_age) // 1000,
    }


def _rate_limit(rule: RateLimit, identity: str) -> Json:
    return {
        "id": rule.name or identity,
        "limit": rule.limit,
        "per_ms": int(rule.per),
        "burst": rule.limit if rule.burst is None else rule.burst,
        "by": {"header": rule.by.header} if isinstance(rule.by, ByHeader) else rule.by,
    }


def _compress(policy: Compress) -> Json:
    return {
        "algorithms": list(policy.algorithms),
        "min_bytes": int(policy.min_bytes),
        "types": list(policy.types),
        "streams": policy.streams,
    }


def _changes(changes: HeaderChanges) -> Json:
    return {"remove": list(changes.remove), "set": dict(changes.set), "add": dict(changes.add)}
