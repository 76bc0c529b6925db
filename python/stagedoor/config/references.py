"""What one part of the configuration says about another: names that must exist, things that must be unique."""

from __future__ import annotations

import ssl
from collections.abc import Collection, Iterator
from collections.abc import Mapping as Map
from pathlib import Path as Folder
from typing import TYPE_CHECKING, Any

from stagedoor.config import nats_credentials
from stagedoor.config.callee import Callees, called, led
from stagedoor.config.cluster import endpoint
from stagedoor.config.credentials import credentials
from stagedoor.config.node import Mapping, Node, find
from stagedoor.config.problem import Located, Path, did_you_mean, listed
from stagedoor.config.resources import servers
from stagedoor.config.route import EventsTarget, Route, WorkflowTarget, called_clusters
from stagedoor.config.runs import processes_run, workflows_run
from stagedoor.config.settings import Settings
from stagedoor.config.token_client import TokenExchange
from stagedoor.config.versions import versions
from stagedoor.config.workflows import Workflows
from stagedoor.policies import BUILT_IN, Policies
from stagedoor.policies.authenticate import Authenticate
from stagedoor.policies.graphql import Graphql, GraphqlCallers
from stagedoor.policies.rate_limit import RateLimit

if TYPE_CHECKING:
    from stagedoor.workflow.definition import Definition


def references(
    root: Node, settings: Settings, workflows: Workflows, incomplete: bool, activities: Collection[str] | None
) -> list[Located]:
    """Every problem of this kind. ``settings`` may be a part of ``root``; names count as they stand in that.
    ``incomplete``: names may be missing; ``activities`` None: of those too."""
    problems: list[tuple[Path, str, str | None]] = []
    clusters = None if incomplete else _names(root, "clusters")
    problems += _listeners(settings)
    plans = None if incomplete else _names(root, "plans")
    problems += credentials(settings, None if incomplete else _names(root, "routes"))
    for name, consumer in settings.consumers.items():
        problems += _plan(("consumers", name, "plan"), consumer.plan, plans)
    problems += _clusters(settings, None if incomplete else _names(root, "issuers"))
    for name, issuer in settings.issuers.items():
        if issuer.cluster is not None and clusters is not None and issuer.cluster not in clusters:
            known = did_you_mean(issuer.cluster, clusters) or f"there are: {listed(clusters)}"
            problems.append((("issuers", name, "cluster"), f"there is no cluster '{issuer.cluster}'", known))
    problems += led(settings.engine.servers, clusters)
    sink = settings.engine.events.cluster
    if sink is not None and clusters is not None and sink not in clusters:
        known = did_you_mean(sink, clusters) or f"there are: {listed(clusters)}"
        problems.append((("engine", "events", "sink"), f"there is no cluster '{sink}'", known))
    problems += _limits(settings, clusters, None if incomplete else list(workflows.nodes))
    problems += _broker(settings, root.place.source.path.parent)
    shared: dict[str, tuple[str, RateLimit]] = {}
    problems += versions(settings, clusters, None if incomplete else _names(root, "apis"))
    defaults = settings.policies.over(BUILT_IN)
    for name, route in settings.routes.items():
        problems += _route(name, route, clusters, workflows)
        problems += _policies(name, route, defaults, shared)
        authenticate = route.policies.authenticate
        if isinstance(authenticate, Authenticate) and authenticate.anonymous is not None:
            path: Path = ("routes", name, "policies", "authenticate", "anonymous", "plan")
            problems += _plan(path, authenticate.anonymous.plan, plans)
    authenticate = settings.policies.authenticate
    if isinstance(authenticate, Authenticate) and authenticate.anonymous is not None:
        path = ("policies", "authenticate", "anonymous", "plan")
        problems += _plan(path, authenticate.anonymous.plan, plans)
    located = [Located(find(root, path)[0], path, message, hint) for path, message, hint in problems]
    callees = Callees(clusters, frozenset(settings.engine.allow_hosts), servers(settings))
    secrets = None if incomplete else settings.engine.revealed()
    for name, node in workflows.nodes.items():
        found = list(called(node, workflows.definitions.get(name), callees))
        found += [*workflows_run(node, workflows), *processes_run(node, settings.engine.run)]
        if name in workflows.definitions and secrets is not None:
            found += _secrets(workflows.definitions[name], secrets)
        if name in workflows.definitions and activities is not None:
            found += _activities(workflows.definitions[name], activities)
        for path, message, hint in found:
            located.append(Located(find(node, path)[0], path, message, hint))
    return located


Found = Iterator[tuple[Path, str, str | None]]


def _names(root: Node, section: str) -> list[str]:
    node = find(root, (section,))[1]
    return list(node.entries) if isinstance(node, Mapping) and node is not root else []


def _listeners(settings: Settings) -> Found:
    seen: dict[str, str] = {}
    for name, listener in settings.listeners.items():
        if not listener.bind.endswith(":0"):
            first = seen.setdefault(listener.bind, name)
            if first != name:
                yield ("listeners", name, "bind"), f"the listener '{first}' is bound to {listener.bind} already", None
    taken = seen.get(settings.admin.bind)
    if taken is not None:
        yield ("admin", "bind"), f"the listener '{taken}' is bound to {settings.admin.bind} already", None


def _limits(settings: Settings, clusters: list[str] | None, workflows: list[str] | None) -> Found:
    path: Path = ("engine", "limits")
    for name in settings.engine.limits.clusters:
        known = None if clusters is None else [*clusters, *settings.engine.allow_hosts]
        if known is not None and name not in known:
            hint = did_you_mean(name, known) or f"there are: {listed(known)}"
            yield (*path, "clusters", name), f"there is no cluster '{name}', nor is it in engine.allow_hosts", hint
    for name in settings.engine.limits.workflows:
        if workflows is not None and name not in workflows:
            hint = did_you_mean(name, workflows) or f"there are: {listed(workflows)}"
            yield (*path, "workflows", name), f"there is no workflow '{name}'", hint


def _broker(settings: Settings, folder: Folder) -> Found:
    nats = settings.engine.events.nats
    if nats is not None and nats.ca is not None:
        try:
            ssl.create_default_context(cafile=str(folder / nats.ca))
        except OSError as error:
            reason = "it holds no certificate" if isinstance(error, ssl.SSLError) else error.strerror
            yield ("engine", "events", "nats", "ca"), f"the file '{nats.ca}' cannot be used: {reason}", None
    if nats is not None and nats.creds is not None:
        try:
            nats_credentials.read(folder / nats.creds)
        except (OSError, ValueError) as error:
            reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
            yield ("engine", "events", "nats", "creds"), f"the file '{nats.creds}' cannot be used: {reason}", None


def _plan(path: Path, plan: str | None, plans: list[str] | None) -> Found:
    if plan is not None and plans is not None and plan not in plans:
        yield path, f"there is no plan '{plan}'", did_you_mean(plan, plans) or f"there are: {listed(plans)}"


def _clusters(settings: Settings, issuers: list[str] | None) -> Found:
    for name, cluster in settings.clusters.items():
        seen: set[str] = set()
        for index, each in enumerate(map(endpoint, cluster.endpoints)):
            if each.url in seen:
                message = f"the endpoint {each.url} is given twice"
                yield ("clusters", name, "endpoints", index), message, "give it a 'weight' instead"
            seen.add(each.url)
        token = None if cluster.credentials is None else cluster.credentials.token
        if token is not None and token.issuer is not None and issuers is not None and token.issuer not in issuers:
            kind = "token_exchange" if isinstance(token, TokenExchange) else "client_credentials"
            hint = did_you_mean(token.issuer, issuers) or f"there are: {listed(issuers)}"
            yield ("clusters", name, "credentials", kind, "issuer"), f"there is no issuer '{token.issuer}'", hint
        if cluster.ejection.base > cluster.ejection.max:
            yield ("clusters", name, "ejection"), "'base' is longer than 'max'", None


def _route(name: str, route: Route, clusters: list[str] | None, workflows: Workflows) -> Found:
    target = route.target
    if route.match.host is not None and route.match.hosts:
        yield ("routes", name, "match", "host"), "'host' and 'hosts' do not go together", "put all into 'hosts'"
    for cluster, path in called_clusters(route).items():
        if clusters is not None and cluster not in clusters:
            hint = did_you_mean(cluster, clusters) or f"there are: {listed(clusters)}"
            yield ("routes", name, *path), f"there is no cluster '{cluster}'", hint
    if isinstance(target, EventsTarget) and not workflows.nodes and not workflows.unreadable:
        hint = "name their documents in 'workflows'"
        yield ("routes", name, "target", "events"), "there are no workflows that events could be for", hint
    if isinstance(target, WorkflowTarget):
        known = workflows.nodes
        if target.workflow not in known and not workflows.unreadable:
            hint = did_you_mean(target.workflow, known) or f"there are: {listed(known)}"
            yield ("routes", name, "target", "workflow"), f"there is no workflow '{target.workflow}'", hint
        if target.status is None and "...}" in route.match.path:
            message = "is required where the route's path ends in '{rest...}'"
            yield ("routes", name, "target", "status"), message, "for example /orders/executions/{execution}"
        if target.status is not None and "{execution}" not in target.status:
            yield ("routes", name, "target", "status"), "needs a segment '{execution}'", None


def _policies(name: str, route: Route, defaults: Policies, shared: dict[str, tuple[str, RateLimit]]) -> Found:
    policies = route.policies.over(defaults)
    asked = policies.graphql.introspection if isinstance(policies.graphql, Graphql) else "off"
    if isinstance(asked, GraphqlCallers) and policies.authenticate in (None, "off"):
        where: Path = () if route.policies.graphql is None else ("routes", name)
        message = f"it names callers, who are not known on the route '{name}'"
        yield (*where, "policies", "graphql", "introspection"), message, "add authenticate: {any: [api_key]}"
    own = route.policies.rate_limit is not None
    if not isinstance(policies.rate_limit, list):
        return
    for index, rule in enumerate(policies.rate_limit):
        path: Path = (*(("routes", name) if own else ()), "policies", "rate_limit", index)
        if rule.by == "consumer" and policies.authenticate in (None, "off"):
            message = f"'by: consumer' needs the policy 'authenticate', which is off on the route '{name}'"
            yield (*path, "by"), message, "add authenticate: {any: [api_key]}, or count by address"
        if rule.name is not None:
            other, first = shared.setdefault(rule.name, (name, rule))
            if first != rule:
                message = (
                    f"the rule '{rule.name}' of the route '{other}' is different; rules of one name share counters"
                )
                yield (*path, "name"), message, None


def _activities(definition: Definition, known: Collection[str]) -> Found:
    """Python functions that a workflow document calls."""
    for name, path in definition.activities.items():
        if name not in known:
            near = did_you_mean(name, known) or "name its module in engine.activities.modules"
            yield path, f"there is no activity '{name}'", near


def _secrets(definition: Definition, secrets: Map[str, Any]) -> Found:
    """Secrets of a workflow document: each must be there, and hold what it is used for."""
    # Imported here: a configuration without workflows needs no machine.
    from stagedoor.workflow.authentication import fault

    for index, name in enumerate(definition.document["use"]["secrets"] if definition.secrets else []):
        path: Path = ("use", "secrets", index)
        if name not in secrets:
            near = did_you_mean(name, secrets)
            yield path, f"there is no secret '{name}'", near or f"add {name} to engine.secrets"
            continue
        for scheme in sorted(scheme for secret, scheme in definition.secrets_of_schemes if secret == name):
            wrong = fault(scheme, secrets[name])
            if wrong is not None:
                yield path, f"the secret '{name}' is none for {scheme}: {wrong}", f"it is a JSON object, as {scheme} is"
