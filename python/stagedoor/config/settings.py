"""The whole configuration file as typed, immutable values with every default filled in."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, model_validator

from stagedoor.config.address import HttpUrl
from stagedoor.config.admin import Admin
from stagedoor.config.api import Api
from stagedoor.config.cluster import Cluster
from stagedoor.config.consumer import Consumer
from stagedoor.config.issuer import Issuer
from stagedoor.config.limits import EngineLimits
from stagedoor.config.listener import Listener
from stagedoor.config.nats import Nats
from stagedoor.config.plan import Plan
from stagedoor.config.retention import Retention
from stagedoor.config.route import Route
from stagedoor.config.run import Run
from stagedoor.policies import Policies
from stagedoor.policies.model import Name, Strict, size, wrong
from stagedoor.policies.unit import Size

_SINK = re.compile(r"cluster://[A-Za-z0-9][A-Za-z0-9_.-]*/[!$&'()*+,;=:@/?%A-Za-z0-9._~-]*")
DOCUMENTS = "documents"
_PREFIX = re.compile(r"https?://[^/?#\s]+(/[^?#\s]*)?|(file:)?[^:?#\s]+")
_CLUSTER_PATH = re.compile(r"cluster://[^/?#\s]+(/[^?#\s]*)?")
_STORE = re.compile(r"sqlite:///(?P<path>[^?#\0]+)")


def available_cores() -> int:
    """The cores that this process may run on."""
    return len(os.sched_getaffinity(0))


def _store(value: str) -> str:
    if not _STORE.fullmatch(value) or value.endswith("/"):
        raise wrong("expected sqlite:///PATH, for example sqlite:///var/stagedoor.db")
    return value


def _sink(value: str) -> str:
    if not _SINK.fullmatch(value):
        raise wrong("expected cluster://NAME/path")
    return value


class Events(Strict):
    """Events of workflows."""

    sink: Annotated[str, AfterValidator(_sink)] | None = None
    """``cluster://NAME/path``: where what workflows emit is sent by POST, beside listeners of this gateway. Left out:
    it goes to these alone."""
    mode: Literal["binary", "structured"] = "binary"
    """How: attributes as ``ce-`` headers and the data as body, or all of it as one JSON object."""
    lifecycle: bool = False
    """Whether the sink is told too when executions start, are suspended, resumed, wait for events, and end."""
    tasks: bool = False
    """Whether it is told the same of each task, of executions that begin from now on."""

    nats: Nats | None = None
    """A NATS broker, beside the sink or in its place."""

    @property
    def cluster(self) -> str | None:
        """The sink's."""
        return None if self.sink is None else self.sink.removeprefix("cluster://").partition("/")[0]


class Activities(Strict):
    """Python functions that workflows may call."""

    modules: Annotated[list[Annotated[str, Field(min_length=1, max_length=300)]], Field(max_length=1000)] = []
    """Names of modules with functions marked ``@activity``, looked for beside the configuration file and then as Python
    does. Their code runs where the configuration is checked, too."""
    installed: bool = True
    """Also those that installed packages offer by the entry point ``stagedoor.activities``."""


class Snapshots(Strict):
    """The state of long executions is written down from time to time, so that they are read back from there."""

    every: Annotated[int, Field(ge=10, le=1_000_000)] = 1000
    """Events of an execution between two snapshots, at least."""
    compact: bool = False
    """Whether events are deleted whose effect is in a snapshot. How an execution began, what its undos are given, its
    incidents and the words of operators stay; its history then begins at a snapshot."""


def _server_name(value: str) -> str:
    try:
        parts = urlsplit(value)
        sound = "@" not in parts.netloc and parts.port != 0
    except ValueError:
        sound = False
    if not sound or not _PREFIX.fullmatch(value):
        raise wrong("expected the URL of a server, for example https://api.example/v2, or the name of a file")
    return value


def _cluster_path(value: str) -> str:
    if not _CLUSTER_PATH.fullmatch(value):
        raise wrong("expected cluster://NAME, with the path of the server behind it")
    return value


ServerName = Annotated[str, Field(max_length=1000), AfterValidator(_server_name)]
ClusterPath = Annotated[str, Field(max_length=1000), AfterValidator(_cluster_path)]


class Engine(Strict):
    """The workflow engine."""

    store: Annotated[str, AfterValidator(_store)] = "sqlite:///stagedoor.db"
    """Where executions are kept: ``sqlite:///PATH``, relative to the configuration file's folder;
    ``sqlite:////PATH``, with a fourth slash, is absolute."""
    allow_hosts: Annotated[list[HttpUrl], Field(max_length=1000)] = []
    """``http://HOST:PORT`` and ``https://HOST:PORT`` that workflows may call beside the declared clusters."""
    documents: Annotated[str, Field(min_length=1, max_length=1000)] = DOCUMENTS
    """The folder, beside the configuration file, in which documents of the web are kept that workflows refer to."""
    catalog: Annotated[str, Field(min_length=1, max_length=1000)] | None = None
    """The folder of the default catalog, whose functions workflows call as ``NAME:VERSION``."""
    servers: Annotated[dict[ServerName, ClusterPath], Field(max_length=1000)] = {}
    """Calls of workflows to URLs that begin so go through a cluster: ``{"https://api.example/v2":
    "cluster://orders/v2"}``. An OpenAPI description in a file that names no server is itself the key: ``{"pets.yaml":
    "cluster://pets"}``."""
    secrets: Annotated[dict[Name, SecretStr], Field(max_length=1000)] = {}
    """What workflows may know as ``$secrets.NAME``, if they say so in ``use.secrets``: ``${env:NAME}`` or
    ``${file:path}``. Text that is a JSON object is that object."""
    events: Events = Events()
    """What workflows emit."""
    activities: Activities = Activities()
    """Python functions that workflows may call."""
    snapshots: Snapshots = Snapshots()
    """Of long executions."""
    run: Run = Run()
    """What workflows may run beside calls."""
    limits: EngineLimits = EngineLimits()
    """How much there may be at once, and of one execution."""

    retention: Retention = Retention()
    """How long executions are kept that have ended."""

    def store_path(self, folder: Path) -> Path:
        """The database's file."""
        return folder / self.store.removeprefix("sqlite:///")

    def revealed(self) -> dict[str, str | dict[str, Any]]:
        """The secrets by name."""
        return {name: _secret(secret.get_secret_value()) for name, secret in self.secrets.items()}


def _secret(text: str) -> str | dict[str, Any]:
    if text.lstrip().startswith("{"):
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            return text
        if isinstance(value, dict):
            return value
    return text


class CacheDisk(Strict):
    """A directory for large responses: they are found again after a restart."""

    path: Annotated[str, Field(min_length=1, max_length=1000)]
    """The directory, relative to the configuration file's folder; it is made, and of one process alone."""
    least: Annotated[Size, Field(alias="from")] = size("64KiB", least="4KiB", most="1GiB")
    """Content of at least so many bytes is kept there and not in memory."""
    # Below: its name hides the function's.
    size: Size = size(None, least="1MiB", most="1048576GiB")
    """What all responses may take of it."""

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.least > self.size:
            raise wrong("nothing that is kept here from 'from' on fits into 'size'")
        return self


class CacheStore(Strict):
    """Where responses are kept, for all routes that have the policy ``cache``."""

    memory: Size = size("64MiB", least="1MiB", most="1024GiB")
    """What all of them may take, heads and keys included; of those on the disk, these alone."""
    disk: CacheDisk | None = None
    """For large responses; left out: all are in memory."""


class Logs(Strict):
    """What the gateway itself says, on stderr. Not the access log, which is a policy."""

    format: Literal["text", "json"] = "text"
    """Lines for people, or one JSON object a line."""
    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least severity that is written."""


class Metrics(Strict):
    """Prometheus metrics at ``/metrics`` of the admin endpoint; always on, without settings."""


class Telemetry(Strict):
    """How the gateway is watched."""

    logs: Logs = Logs()
    """What the gateway itself says."""
    metrics: Metrics = Metrics()
    """Prometheus metrics."""


class Settings(Strict):
    """stagedoor.yaml"""

    listeners: Annotated[dict[Name, Listener], Field(min_length=1, max_length=100)]
    """Addresses on which requests are accepted, by name."""
    admin: Admin = Admin()
    """The admin endpoint."""
    workers: Annotated[int, Field(ge=1, le=1024)] = Field(default_factory=available_cores)
    """Threads that serve requests. Left out: the cores available."""
    consumers: dict[Name, Consumer] = {}
    """Who calls, by name."""
    issuers: Annotated[dict[Name, Issuer], Field(max_length=100)] = {}
    """Who issues tokens, by name."""
    plans: dict[Name, Plan] = {}
    """What consumers may use, by name."""
    clusters: dict[Name, Cluster] = {}
    """Groups of servers, by name."""
    policies: Policies = Policies()
    """Defaults for every route."""
    cache: CacheStore = CacheStore()
    """Where responses are kept."""
    apis: Annotated[dict[Name, Api], Field(max_length=1000)] = {}
    """Groups of routes that have versions, by name."""
    routes: dict[Name, Route] = {}
    """Which requests go where, by name. Order never matters."""
    workflows: Annotated[list[str], Field(max_length=1000)] = []
    """Globs of workflow documents, relative to the file that names them."""
    engine: Engine = Engine()
    """The workflow engine."""
    telemetry: Telemetry = Telemetry()
    """How the gateway is watched."""
