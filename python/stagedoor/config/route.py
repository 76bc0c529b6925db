"""A match, its policies, its target."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Discriminator, Field, Tag

from stagedoor.config.aggregate import AggregateTarget
from stagedoor.config.api import VERSIONS, StepChanges
from stagedoor.config.expression import Expression
from stagedoor.policies import Policies
from stagedoor.policies.model import (
    HeaderName,
    HeaderValue,
    Method,
    Name,
    OneSpelling,
    StatusCode,
    Strict,
    duration,
    wrong,
)
from stagedoor.policies.unit import Duration

_WORKFLOW = re.compile(r"[a-z0-9]([a-z0-9-]{0,62})/[a-z0-9]([a-z0-9-]{0,62})")


def _path(value: str) -> str:
    if not value.startswith("/"):
        raise wrong("a path begins with '/'", f"did you mean '/{value}'?" if value and "{" not in value[:1] else None)
    if len(value) > 8192:
        raise wrong("a path has at most 8192 characters")
    return value


def _workflow(value: str) -> str:
    if not _WORKFLOW.fullmatch(value):
        raise wrong("expected NAMESPACE/NAME of a workflow document, for example shop/order")
    return value


PathTemplate = Annotated[str, AfterValidator(_path)]


class Present(Strict):
    """A condition on presence alone."""

    present: Literal[True]
    """Any value will do."""


def _value_shape(value: Any) -> str:
    return "<present>" if isinstance(value, dict | Present) else "<exact>"


ValueMatch = Annotated[
    Annotated[str, Tag("<exact>")] | Annotated[Present, Tag("<present>")], Discriminator(_value_shape)
]


class Match(Strict):
    """Which requests a route answers. Every condition that is given must hold."""

    host: str | None = None
    """``example.com``, or ``*.example.com`` for all names below it. Left out: any host."""
    hosts: Annotated[list[str], Field(max_length=100)] = []
    """Several hosts, of which one must match; not together with ``host``."""
    path: PathTemplate
    """Exact, with ``{param}`` for a whole segment, or with a last ``{rest...}`` for all that follows."""
    methods: Annotated[list[Method], Field(max_length=32)] = []
    """Methods in upper case; GET also stands for HEAD. Left out: any method but TRACE."""
    headers: Annotated[dict[HeaderName, ValueMatch], Field(max_length=32), OneSpelling] = {}
    """Header name → the exact value, or ``{present: true}``."""
    query: Annotated[dict[str, ValueMatch], Field(max_length=32)] = {}
    """Query parameter → the exact value, or ``{present: true}``."""
    versions: Annotated[list[Name], Field(max_length=VERSIONS)] = []
    """Versions of its API. Left out: all."""


class ClusterTarget(Strict):
    """Forward the request to a cluster."""

    cluster: Name
    """A name of ``clusters``."""
    path: PathTemplate | None = None
    """The path to ask for, with the route's ``{param}``s put in. Left out: the path as it was routed."""


class WorkflowResponse(Strict):
    """What a client gets when the workflow completes."""

    status: StatusCode = 200
    """The status code."""
    headers: Annotated[dict[HeaderName, HeaderValue], Field(max_length=100), OneSpelling] = {}
    """Values are text, or ``${ jq }`` over the workflow's output."""
    body: Expression | None = None
    """``${ jq }`` over the workflow's output. Left out: the output itself, as JSON."""


class WorkflowTarget(Strict):
    """Run a workflow and answer with its result."""

    workflow: Annotated[str, AfterValidator(_workflow)]
    """``namespace/name`` of a document in ``workflows``."""
    input: Expression = "${ .body }"
    """``${ jq }`` over ``{method, path, params, query, headers, consumer, body}``: the workflow's input."""
    wait: Duration = duration("30s", least="0s", most="1h")
    """How long a client is kept waiting; after that, or with ``Prefer: respond-async``, it gets 202 and a status
    resource."""
    status: PathTemplate | None = None
    """Path of the status resource, with the route's ``{param}``s and ``{execution}``. Left out: the route's path
    followed by ``/executions/{execution}``; a route whose path ends in ``{rest...}`` must give it."""
    response: WorkflowResponse = WorkflowResponse()
    """What a client gets when the workflow completes."""


_Attribute = Annotated[str, Field(min_length=1, max_length=1000)]


class AcceptedEvents(Strict):
    """Which events a route takes; any other is 403."""

    types: Annotated[list[_Attribute], Field(max_length=1000)] = []
    """Their types; a last ``*`` stands for any rest. Left out: all."""
    sources: Annotated[list[_Attribute], Field(max_length=1000)] = []
    """Their sources, in the same way."""


class EventsTarget(Strict):
    """Take CloudEvents for workflows: 202 once they are stored."""

    events: AcceptedEvents
    """Which ones. A route without ``methods`` answers POST alone."""


class FixedResponse(Strict):
    """A response that is always the same."""

    status: StatusCode = 200
    """The status code."""
    headers: Annotated[dict[HeaderName, HeaderValue], Field(max_length=100), OneSpelling] = {}
    """Its headers; none is added for the body's type."""
    body: Annotated[str, Field(max_length=1_048_576)] = ""
    """Its body as text."""


class ResponseTarget(Strict):
    """Answer without calling anything."""

    response: FixedResponse
    """The response."""


_KINDS: dict[str, type[Strict]] = {
    # In this order: the targets of workflows and aggregates have a `response` too.
    "workflow": WorkflowTarget,
    "aggregate": AggregateTarget,
    "cluster": ClusterTarget,
    "events": EventsTarget,
    "response": ResponseTarget,
}


def _target_shape(value: Any) -> str | None:
    for kind, model in _KINDS.items():
        if isinstance(value, model) or (isinstance(value, dict) and kind in value):
            return f"<{kind}>"
    return None


Target = Annotated[
    Annotated[ClusterTarget, Tag("<cluster>")]
    | Annotated[AggregateTarget, Tag("<aggregate>")]
    | Annotated[WorkflowTarget, Tag("<workflow>")]
    | Annotated[EventsTarget, Tag("<events>")]
    | Annotated[ResponseTarget, Tag("<response>")],
    Discriminator(
        _target_shape,
        custom_error_type="target",
        custom_error_message="expected one of 'cluster', 'aggregate', 'workflow', 'events' and 'response'",
    ),
]


class Route(Strict):
    """A match, its policies, its target."""

    match: Match
    """Which requests it answers."""
    api: Name | None = None
    """The API that it belongs to: a name of ``apis``."""
    steps: Annotated[dict[Name, StepChanges], Field(max_length=VERSIONS)] = {}
    """Version → how its requests become those of the next one here, in place of what the API says."""
    priority: Annotated[int, Field(ge=-1_000_000, le=1_000_000)] = 0
    """Higher wins over any specificity."""
    policies: Policies = Policies()
    """What holds here; a key replaces the default of the same name as a whole, ``off`` removes it."""
    target: Target
    """Where it leads: ``cluster``, ``aggregate``, ``workflow``, ``events`` or ``response``."""


def called_clusters(route: Route) -> dict[str, tuple[str, ...]]:
    """The clusters that a route names, each with the path below the route where it does so first."""
    target = route.target
    if isinstance(target, ClusterTarget):
        return {target.cluster: ("target", "cluster")}
    if isinstance(target, AggregateTarget):
        calls = reversed(target.aggregate.items())
        return {call.cluster: ("target", "aggregate", name, "cluster") for name, call in calls}
    return {}
