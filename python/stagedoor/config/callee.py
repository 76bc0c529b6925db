"""Whom workflow documents call, and whether they may."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from stagedoor.config.address import PORTS
from stagedoor.config.node import Node
from stagedoor.config.problem import Path, did_you_mean, listed
from stagedoor.config.workflows import called_endpoints
from stagedoor.workflow.server import Servers, origin

if TYPE_CHECKING:
    from stagedoor.workflow.definition import Definition

Found = Iterator[tuple[Path, str, str | None]]

_ENDPOINT = re.compile(r"(cluster|https?)://([^/?#{}$]*)")


@dataclass(frozen=True, slots=True)
class Callees:
    clusters: Collection[str] | None
    """None: there may be any."""
    hosts: Collection[str]
    """Plain ``scheme://HOST:PORT``."""
    servers: Servers

    def faults(self, path: Path, uri: str) -> Found:
        """Why it may not be called, as far as it is written out."""
        match = _ENDPOINT.match(uri)
        if match is None or uri[match.end() : match.end() + 1] in ("{", "$"):
            return
        scheme, name = match[1], match[2]
        if scheme == "cluster":
            yield from _cluster(path, name, self.clusters)
        elif self.servers.lead_written(uri) is None:
            host = name.lower() if ":" in name.rpartition("]")[2] else f"{name.lower()}:{PORTS[scheme]}"
            if f"{scheme}://{host}" not in self.hosts:
                hint = f"add {scheme}://{host} to engine.allow_hosts, or lead it to a cluster in engine.servers"
                yield path, f"the host '{name}' is not allowed", hint


def called(node: Node, definition: Definition | None, callees: Callees) -> Found:
    """Problems of what a workflow document calls: what it says itself, and what descriptions of services do."""
    for path, scalar in called_endpoints(node):
        yield from callees.faults(path, scalar.written)
    for at, uri in sorted(definition.reached, key=str) if definition is not None else ():
        for path, message, hint in callees.faults(at, uri):
            yield path, f"a server of the document: {message}", hint


def led(servers: Mapping[str, str], clusters: Collection[str] | None) -> Found:
    """Problems of ``engine.servers``."""
    seen: dict[str, str] = {}
    for url, place in servers.items():
        path: Path = ("engine", "servers", url)
        yield from _cluster(path, place.removeprefix("cluster://").partition("/")[0], clusters)
        parts = urlsplit(url)
        server = origin(parts)
        first = seen.setdefault(url if server is None else server + parts.path.rstrip("/"), url)
        if first != url:
            yield path, f"it is the same server as '{first}'", None


def _cluster(path: Path, name: str, clusters: Collection[str] | None) -> Found:
    if clusters is not None and name not in clusters:
        hint = did_you_mean(name, clusters) or f"there are: {listed(clusters)}"
        yield path, f"there is no cluster '{name}'", hint
