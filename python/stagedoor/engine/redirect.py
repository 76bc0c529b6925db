"""Where a redirection leads, and what of a request goes along (RFC 9110 §15.4)."""

from __future__ import annotations

from urllib.parse import urljoin, urlsplit

from stagedoor import _core
from stagedoor.engine import activities
from stagedoor.engine.reach import Reach
from stagedoor.workflow.server import origin

MAX_REDIRECTS = 5
STATUSES = frozenset({301, 302, 303, 307, 308})
LEAVES_WITH = frozenset(
    {"accept", "accept-language", "content-type", "content-language", "idempotency-key", "traceparent", "user-agent"}
)
"""Header fields that also go to another server: none can be a credential."""


def follow(request: activities.Request, answer: _core.Answered, reach: Reach) -> tuple[activities.Request, bool] | None:
    """The request to send next, and whether it leaves the server that the document named; None where the answer is no
    redirection, or leads to a host that may not be called: it is the call's answer then."""
    if answer.status not in STATUSES:
        return None
    location = next((value for name, value in answer.headers if name == "location"), None)
    if location is None:
        return None
    number, cluster, method, target, headers, body, timeout_ms, token = request
    found = _place(location, cluster, target, reach)
    if found is None:
        return None
    where, path = found
    if answer.status == 303 and method != "HEAD":
        method, body = "GET", None
    elif answer.status in (301, 302) and method == "POST":
        # As every client does it (RFC 9110 §15.4.2, note).
        method, body = "GET", None
    if body is None:
        headers = [header for header in headers if not header[0].startswith("content-")]
    leaves = where != cluster
    if leaves:
        headers = [header for header in headers if header[0] in LEAVES_WITH]
        token = None
    return (number, where, method, path, headers, body, timeout_ms, token), leaves


def _place(location: str, cluster: str, target: str, reach: Reach) -> tuple[str, str] | None:
    """The cluster and the path with its query."""
    try:
        if location.startswith("//"):
            location = f"{_scheme(cluster, reach)}:{location}"
        elif not urlsplit(location).scheme:
            parts = urlsplit(urljoin("http://server" + target, location))
            return cluster, activities.target_of(parts)
        parts = urlsplit(location)
        server = origin(parts)
        led = reach.servers.lead(location)
    except ValueError:
        return None
    if led is not None:
        # Another cluster has credentials of its own, which are not for whom a service names.
        where = activities.place(led, reach)
        return None if isinstance(where, activities.Refused) or where[0] != cluster else where
    if server is None or not (reach.origins.get(server) == cluster or server in reach.hosts):
        return None
    return cluster if reach.origins.get(server) == cluster else server, activities.target_of(parts)


def _scheme(cluster: str, reach: Reach) -> str:
    """Of the server that redirects."""
    called = cluster if "://" in cluster else next((url for url, name in reach.origins.items() if name == cluster), "")
    return called.partition("://")[0] or "http"
