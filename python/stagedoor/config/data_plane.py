"""What the data plane says about a snapshot, brought back to the lines that a user wrote."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace

from stagedoor import _core
from stagedoor.config.compile import compile
from stagedoor.config.configuration import Configuration
from stagedoor.config.expression import expression
from stagedoor.config.node import Mapping, Node, Scalar, Sequence, find, scalars
from stagedoor.config.plan import Plan
from stagedoor.config.problem import Located, Path
from stagedoor.config.route import WorkflowTarget, called_clusters
from stagedoor.config.settings import Settings

_THING = re.compile(r"(api|route|cluster|consumer|issuer|plan|listener)s? '([^']*)'(?:: )?(.*)", re.DOTALL)
_STEP = re.compile(r"([A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*)(?:\[([0-9]+)\])?: (.*)", re.DOTALL)
_VERSION = re.compile(r"version '([^']*)': (.*)", re.DOTALL)
_QUOTED = re.compile(r"'([^']+)'")
_UNROUTED = "requests that match no route: "


def data_plane(root: Node, configuration: Configuration, problems: list[Located]) -> list[Located]:
    """Errors and warnings of compiling for serving. What already has an error is left out, so that it is told once."""
    sound = _sound(configuration, problems)
    return [_located(root, *each) for each in _core.check(json.dumps(compile(sound)))]


def expressions(root: Node, settings: Settings) -> list[Located]:
    """Every expression of a route that does not compile."""
    problems = []
    for name, route in settings.routes.items():
        if isinstance(route.target, WorkflowTarget):
            for below, text in _expressions(route.target):
                path: Path = ("routes", name, "target", *below)
                try:
                    _core.Expression(expression(text) or "")
                except _core.ExpressionError as error:
                    place, node = find(root, path)
                    place = node.place if isinstance(node, Scalar) else place
                    problems.append(Located(place, path, f"the expression does not compile: {error}"))
    return problems


def _expressions(target: WorkflowTarget) -> Iterator[tuple[Path, str]]:
    yield ("input",), target.input
    if target.response.body is not None:
        yield ("response", "body"), target.response.body
    for header, value in target.response.headers.items():
        if expression(value) is not None:
            yield ("response", "headers", header), value


def _sound(configuration: Configuration, problems: list[Located]) -> Configuration:
    settings = configuration.settings
    wrong = {problem.path[:2] for problem in problems}
    defaults_wrong = any(path[:1] == ("policies",) for path in wrong)
    apis = {name: api for name, api in settings.apis.items() if ("apis", name) not in wrong}
    clusters = {name: cluster for name, cluster in settings.clusters.items() if ("clusters", name) not in wrong}
    routes = {
        name: route
        for name, route in settings.routes.items()
        if not (defaults_wrong or ("routes", name) in wrong)
        and all(cluster in clusters for cluster in called_clusters(route))
        and (route.api is None or route.api in apis)
    }
    consumers_wrong = any(path[:1] == ("consumers",) for path in wrong)
    consumers = {} if consumers_wrong else settings.consumers
    # A plan that is wrong is there all the same.
    plans = {str(path[1]): Plan() for path in wrong if path[:1] == ("plans",) and len(path) > 1} | settings.plans
    update = {"clusters": clusters, "routes": routes, "consumers": consumers, "plans": plans, "apis": apis}
    return replace(configuration, settings=settings.model_copy(update=update))


def _located(root: Node, severity: str, message: str) -> Located:
    path, rest = _path(root, message)
    _, node = find(root, path)
    # A sentence that begins with the thing itself speaks of all of it.
    for word in _QUOTED.findall(rest) if rest != message else ():
        below = _named(node, word.lower())
        if below is not None:
            path = (*path, *below)
            break
    place, node = find(root, path)
    # Of a list or a map the key is where to look; of one value, that value.
    place = node.place if isinstance(node, Scalar) else place
    if severity == "fault":
        return Located(place, path, rest, tolerable=True)
    return Located(place, path, rest, severity=severity)


def _named(node: Node, word: str) -> Path | None:
    """Where a word that a sentence quotes stands below a node: as a key of it, or as a value."""
    if isinstance(node, Mapping):
        key = next((key for key in node.entries if key.lower() == word), None)
        if key is not None:
            return (key,)
    return next((at for at, scalar in scalars(node) if str(scalar.value).lower() == word), None)


def _path(root: Node, message: str) -> tuple[Path, str]:
    """Where a sentence such as ``route 'x': rate_limit[0]: …`` points, and what is left of it."""
    if message.startswith(_UNROUTED):
        path: Path = ("policies",)
        rest = message.removeprefix(_UNROUTED)
    elif (match := _THING.match(message)) is not None and match[3]:
        # The status resource of a workflow route is not in the file; its route is.
        path = (f"{match[1]}s", match[2].partition("@")[0])
        rest = match[3] if message[match.start(3) - 2 : match.start(3)] == ": " else message
    else:
        return (), message
    while True:
        if (version := _VERSION.match(rest)) is not None:
            at = (*path, "versions", version[1])
            path, rest = at if _exists(root, at) else (*path, version[1]), version[2]
            continue
        step = _STEP.match(rest)
        if step is None:
            break
        below = _below(root, path, step[1], step[2])
        if below is None:
            break
        path, rest = below, step[3]
    return path, rest


def _below(root: Node, path: Path, keys: str, index: str | None) -> Path | None:
    """Some steps down: ``a`` or ``a.b``, or a policy of a route, which may stand in the defaults."""
    steps = tuple(keys.split("."))
    for candidate in ((*path, *steps), (*path, "policies", *steps), ("policies", *steps)):
        if _exists(root, candidate):
            return candidate if index is None else (*candidate, int(index))
    return None


def _exists(root: Node, path: Path) -> bool:
    node = root
    for step in path:
        if isinstance(node, Mapping) and step in node.entries:
            node = node.entries[str(step)]
        elif isinstance(node, Sequence) and isinstance(step, int) and step < len(node.items):
            node = node.items[step]
        else:
            return False
    return True
