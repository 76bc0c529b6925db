"""Settings → snapshot: pure, every default filled in, durations as milliseconds, keys as hashes.

The shape is that of ``crates/dataplane/src/snapshot.rs``.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from stagedoor.config.address import authority, is_secure
from stagedoor.config.aggregate import AggregateTarget, compile_aggregate
from stagedoor.config.api import StepChanges, compile_api, compile_step
from stagedoor.config.certificate import compile_certificate
from stagedoor.config.cluster import Cluster, compile_retry, endpoint
from stagedoor.config.cluster_credentials import compile_credentials
from stagedoor.config.configuration import Configuration
from stagedoor.config.consumer import ApiKeyEntry, Consumer, key
from stagedoor.config.description import validated
from stagedoor.config.expression import expression
from stagedoor.config.issuer import compile_issuer, issuer_clusters
from stagedoor.config.listener import Listener
from stagedoor.config.plan import compile_plan
from stagedoor.config.protected_resource import FRESH, host, protected_resources
from stagedoor.config.route import (
    ClusterTarget,
    EventsTarget,
    Match,
    Present,
    ResponseTarget,
    Route,
    WorkflowTarget,
)
from stagedoor.config.settings import CacheStore
from stagedoor.config.signature_key import compile_signature_key
from stagedoor.config.time import seconds
from stagedoor.config.tls import ClusterTls, ListenerTls
from stagedoor.config.token_client import token_clusters
from stagedoor.config.wsdl import reference
from stagedoor.policies import BUILT_IN, Policies
from stagedoor.policies.authenticate.resource import Resource
from stagedoor.policies.compile import compile_policies
from stagedoor.policies.translate import Translate

Json = dict[str, Any]
_OF_MESSAGES = ("validation", "graphql", "cache", "transform_request", "transform_response", "translate")
"""Policies that are about a route's own messages."""


def compile(configuration: Configuration) -> Json:
    """The snapshot, as data for JSON."""
    settings, folder = configuration.settings, configuration.path.parent
    defaults = settings.policies.over(BUILT_IN)
    clusters = {name: _cluster(cluster, folder) for name, cluster in settings.clusters.items()}
    clusters |= {url: _cluster(Cluster(endpoints=[url]), folder) for url in settings.engine.allow_hosts}
    for url in sorted({url for each in configuration.workflows.values() for url in each.grpc_hosts}):
        if url in settings.engine.allow_hosts:
            protocol: Literal["h2", "h2c"] = "h2" if url.startswith("https:") else "h2c"
            clusters[f"grpc+{url}"] = _cluster(Cluster(endpoints=[url], protocol=protocol), folder)
    called = {url for issuer in settings.issuers.values() for url in issuer_clusters(issuer)}
    credentials = [cluster.credentials for cluster in settings.clusters.values()]
    called |= {url for each in credentials if each is not None and each.token for url in token_clusters(each.token)}
    clusters |= {url: _cluster(Cluster(endpoints=[url]), folder) for url in sorted(called)}
    routes: Json = {}
    for name, route in settings.routes.items():
        policies = route.policies.over(defaults)
        parts = compile_policies(policies, name, folder)
        if isinstance(policies.translate, Translate) and policies.translate.soap is not None:
            _add_operation(parts, configuration.operations.get(reference(policies.translate.soap)), route)
        routes[name] = _route(name, route, parts)
        if isinstance(route.target, WorkflowTarget):
            routes[f"{name}@executions"] = _status_route(name, route, route.target, policies, folder)
    resolved = {name: route.policies.over(defaults) for name, route in settings.routes.items()}
    for name, resource, text in protected_resources(resolved, settings.issuers):
        routes[f"{name}@resource"] = _resource_route(name, resource, text, resolved[name], folder)
    # A request that matches no route has no caller yet: what asks for one stays with the routes.
    unrouted = defaults.model_copy(update=dict.fromkeys(("authenticate", "authorize", "rate_limit", *_OF_MESSAGES)))
    described = validated(settings)
    documents = {name: document for name, document in configuration.descriptions.items() if name in described}
    documents |= configuration.graphql
    plans = {name: compile_plan(plan) for name, plan in settings.plans.items()}
    issuers = {name: compile_issuer(issuer) for name, issuer in settings.issuers.items()}
    apis = {name: compile_api(api) for name, api in settings.apis.items()}
    return {
        "workers": settings.workers,
        "listeners": {name: _listener(listener, folder) for name, listener in settings.listeners.items()},
        "consumers": {name: _consumer(name, consumer) for name, consumer in settings.consumers.items()},
        **({"issuers": issuers} if issuers else {}),
        **({"plans": plans} if plans else {}),
        "clusters": clusters,
        **({"apis": apis} if apis else {}),
        **({"documents": documents} if documents else {}),
        **({} if settings.cache == CacheStore() else {"cache": _cache(settings.cache, folder)}),
        "routes": routes,
        "unrouted": compile_policies(unrouted, "", folder),
    }


def _cache(cache: CacheStore, folder: Path) -> Json:
    disk = cache.disk
    return {
        "memory_bytes": int(cache.memory),
        "disk": disk and {"path": str(folder / disk.path), "size_bytes": int(disk.size), "from_bytes": int(disk.least)},
    }


def _listener(listener: Listener, folder: Path) -> Json:
    limits = listener.limits
    return {
        "bind": listener.bind,
        "mode": listener.mode and int(listener.mode, 8),
        "trusted_proxies": list(listener.trusted_proxies),
        "proxy_protocol": listener.proxy_protocol and {"from": list(listener.proxy_protocol.sources)},
        "http1": listener.http1,
        "http2": listener.http2.model_dump(),
        "limits": {
            "head_bytes": int(limits.head),
            "uri_bytes": int(limits.uri),
            "header_count": limits.headers,
            "connections": limits.connections,
            "head_read_ms": int(limits.head_read),
            "idle_ms": int(limits.idle),
            "body_idle_ms": int(limits.body_idle),
            "half_close_ms": int(limits.half_close),
        },
    } | ({} if listener.tls is None else {"tls": _listener_tls(listener.tls, folder)})


def _listener_tls(tls: ListenerTls, folder: Path) -> Json:
    client = tls.client
    return {
        "certificates": [
            {"chain": str(folder / each.chain), "key": str(folder / each.key)} for each in tls.certificates
        ],
        "min_version": tls.min_version,
        "clients": None
        if client.mode == "none" or client.ca is None
        else {"ca": str(folder / client.ca), "required": client.mode == "required"},
        "handshake_ms": int(tls.handshake),
    }


def _consumer(name: str, consumer: Consumer) -> Json:
    parts: Json = {"api_key_sha256": [_key(each) for each in map(key, consumer.api_keys)]}
    parts["groups"] = list(consumer.groups)
    if consumer.scopes:
        parts["scopes"] = list(consumer.scopes)
    if consumer.plan is not None:
        parts["plan"] = consumer.plan
    if consumer.versions:
        parts["versions"] = dict(consumer.versions)
    if consumer.certificates:
        parts["certificates"] = [compile_certificate(each) for each in consumer.certificates]
    if consumer.signature_keys:
        parts["signature_keys"] = [compile_signature_key(each) for each in consumer.signature_keys]
    if consumer.basic:
        parts["basic"] = [
            {
                "id": user.id or f"{name}/basic/{index}",
                "username": user.username or name,
                "phc": user.password_hash.get_secret_value(),
            }
            for index, user in enumerate(consumer.basic)
        ]
    return parts


def _key(entry: ApiKeyEntry) -> Json | str:
    digest = hashlib.sha256(entry.key.get_secret_value().encode()).hexdigest()
    if entry.model_fields_set == {"key"}:
        return digest
    return {
        "sha256": digest,
        "id": entry.id,
        "scopes": entry.scopes,
        "expires": None if entry.expires is None else seconds(entry.expires),
        "routes": entry.routes,
        "networks": entry.networks,
    }


def _cluster(cluster: Cluster, folder: Path) -> Json:
    return {
        "endpoints": [
            {"authority": authority(each.url), "weight": each.weight} | ({"tls": True} if is_secure(each.url) else {})
            for each in map(endpoint, cluster.endpoints)
        ],
        "protocol": cluster.protocol,
        "proxy_protocol": cluster.proxy_protocol,
        "balance": cluster.balance,
        "connect_ms": int(cluster.timeouts.connect),
        "request_ms": int(cluster.timeouts.request),
        "retry": compile_retry(cluster.retry),
        "ejection": {
            "failures": cluster.ejection.failures,
            "base_ms": int(cluster.ejection.base),
            "max_ms": int(cluster.ejection.max),
            **({} if cluster.ejection.keep == 1 else {"keep": cluster.ejection.keep}),
        },
        "pool": {
            "idle": cluster.pool.idle,
            "idle_ms": int(cluster.pool.idle_timeout),
            "connections": cluster.pool.connections,
        },
    } | (
        ({} if cluster.tls == ClusterTls() else {"tls": _cluster_tls(cluster.tls, folder)})
        | ({} if cluster.credentials is None else {"credentials": compile_credentials(cluster.credentials)})
    )


def _cluster_tls(tls: ClusterTls, folder: Path) -> Json:
    return {
        "ca": None if tls.ca is None else str(folder / tls.ca),
        "server_name": tls.server_name,
        "certificate": None
        if tls.cert is None or tls.key is None
        else {"chain": str(folder / tls.cert), "key": str(folder / tls.key)},
        "verify": tls.verify,
    }


def _route(name: str, route: Route, policies: Json) -> Json:
    match = route.match
    if isinstance(route.target, EventsTarget) and not match.methods:
        match = match.model_copy(update={"methods": ["POST"]})
    return {
        "match": _match(match),
        "priority": route.priority,
        "policies": policies,
        "target": _target(route, route.target),
    } | ({} if route.api is None else {"api": _api(route.api, route.steps)})


def _api(name: str, steps: Mapping[str, StepChanges]) -> Json:
    made = {version: compile_step(changes) for version, changes in steps.items()}
    return {"api": name, **({"steps": made} if made else {})}


def _add_operation(policies: Json, found: tuple[Json, str] | None, route: Route) -> None:
    """What the WSDL says. Where it is wrong, an error has been told, and only the rest is looked at."""
    if found is None:
        del policies["translate"]
        return
    operation, path = found
    asked = path if isinstance(route.target, ClusterTarget) and route.target.path is None else None
    policies["translate"]["soap"] |= {"operation": operation, "path": asked}


def _status_route(name: str, route: Route, target: WorkflowTarget, policies: Policies, folder: Path) -> Json:
    """The status resource beside a workflow route: seen by whoever may start executions, and free of its rate limit,
    which counts starts."""
    match = Match(hosts=_hosts(route.match), path=_status_path(route, target), methods=["GET"])
    return {
        "match": _match(match),
        "priority": route.priority,
        "policies": compile_policies(
            policies.model_copy(update=dict.fromkeys(("rate_limit", *_OF_MESSAGES))), name, folder
        ),
        "target": {"execution": {"route": name}},
    }


def _resource_route(name: str, resource: Resource, text: str, policies: Policies, folder: Path) -> Json:
    """The metadata of a resource, for whoever asks, in a browser too where the route's ``cors`` lets it."""
    match = Match(hosts=[host(resource)], path=resource.path(), methods=["GET"])
    closed = ("authenticate", "authorize", "csrf", "rate_limit", *_OF_MESSAGES)
    open_ = policies.model_copy(update=dict.fromkeys(closed))
    headers = {"content-type": "application/json", "cache-control": FRESH}
    return {
        "match": _match(match),
        "priority": 0,
        "policies": compile_policies(open_, name, folder),
        "target": {"response": {"status": 200, "headers": headers, "body": text}},
    }


def _status_path(route: Route, target: WorkflowTarget) -> str:
    return target.status or route.match.path.rstrip("/") + "/executions/{execution}"


def _hosts(match: Match) -> list[str]:
    return list(match.hosts) if match.host is None else [match.host, *match.hosts]


def _match(match: Match) -> Json:
    def values(conditions: dict[str, str | Present]) -> Json:
        return {
            name: "present" if isinstance(value, Present) else {"exact": value} for name, value in conditions.items()
        }

    return {
        "hosts": _hosts(match),
        "path": match.path,
        "methods": list(match.methods),
        "headers": values(match.headers),
        "query": values(match.query),
    } | ({"versions": list(match.versions)} if match.versions else {})


def _target(
    route: Route, target: ClusterTarget | AggregateTarget | WorkflowTarget | EventsTarget | ResponseTarget
) -> Json:
    if isinstance(target, ClusterTarget):
        return {"cluster": {"cluster": target.cluster, "path": target.path}}
    if isinstance(target, AggregateTarget):
        return {"aggregate": compile_aggregate(target)}
    if isinstance(target, EventsTarget):
        return {"events": {}}
    if isinstance(target, ResponseTarget):
        response = target.response
        return {
            "response": {"status": response.status, "headers": dict(response.headers), "body": response.body},
        }
    return {
        "workflow": {
            "workflow": target.workflow,
            "input": expression(target.input),
            "wait_ms": int(target.wait),
            "status_path": _status_path(route, target),
            "response": {
                "status": target.response.status,
                "headers": dict(target.response.headers),
                "body": target.response.body,
            },
        }
    }
