"""The orchestrator as a configuration wants it: event log, definitions, engine and operator, put together."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from stagedoor import _core
from stagedoor.config import Configuration, nats_credentials
from stagedoor.config.cluster import Cluster
from stagedoor.config.limits import CallLimit
from stagedoor.config.nats import Nats
from stagedoor.config.resources import origins, servers
from stagedoor.config.route import EventsTarget, WorkflowTarget
from stagedoor.config.run import Run
from stagedoor.config.settings import Events, Settings
from stagedoor.engine.broker import Settings as Broker
from stagedoor.engine.definitions import Definitions
from stagedoor.engine.embedded import Engine
from stagedoor.engine.event_log import EventLog
from stagedoor.engine.limits import Limits, Share
from stagedoor.engine.operate import Operator
from stagedoor.engine.outbox import Sink
from stagedoor.engine.processes import Confinement
from stagedoor.engine.reach import Reach
from stagedoor.engine.reception import Accepted
from stagedoor.engine.retention import Retention
from stagedoor.engine.snapshots import Snapshots
from stagedoor.errors import StagedoorError
from stagedoor.notices import Notices


@dataclass(slots=True)
class Orchestrator:
    """What there is only where workflows are."""

    store: Path
    event_log: EventLog
    definitions: Definitions
    engine: Engine
    retention: Retention
    operator: Operator

    def begin(self) -> None:
        """Once the data plane serves."""
        self.engine.begin()
        self.retention.begin()


async def orchestrate(
    plane: _core.DataPlane,
    notices: Notices,
    configuration: Configuration,
    store: Path,
    crash_after: int | None = None,
    lost: Callable[[str], None] | None = None,
) -> Orchestrator:
    """Opens the store and keeps the configuration's definitions in it; ``use`` or ``reach`` comes next. ``lost`` is
    called when another process has taken the store over."""
    event_log = EventLog(store, asyncio.get_running_loop(), crash_after=crash_after, lost=lost)
    definitions = Definitions(event_log)
    try:
        await definitions.keep(configuration.workflows.values())
    except StagedoorError:
        await event_log.close()
        raise
    wanted = configuration.settings.engine.snapshots
    snapshots = Snapshots(event_log, every=wanted.every, compact=wanted.compact)
    engine = Engine(plane, notices, event_log, definitions, snapshots=snapshots)
    retention = Retention(event_log, definitions, time.time)
    operator = Operator(engine, event_log, definitions)
    return Orchestrator(store, event_log, definitions, engine, retention, operator)


def use(orchestrator: Orchestrator, configuration: Configuration) -> None:
    """From now on by this configuration; its definitions must be kept already."""
    reach(orchestrator, configuration)
    orchestrator.engine.schedules.use(configuration.workflows)
    orchestrator.retention.use(configuration.settings.engine.retention.seconds())
    orchestrator.engine.outbox.nats.consume()


def reach(orchestrator: Orchestrator, configuration: Configuration) -> None:
    """The same without starting anything by a schedule."""
    settings = configuration.settings
    routes = {
        name: route.target.workflow
        for name, route in settings.routes.items()
        if isinstance(route.target, WorkflowTarget)
    }
    orchestrator.engine.reception.routes = {
        name: Accepted(tuple(route.target.events.types), tuple(route.target.events.sources))
        for name, route in settings.routes.items()
        if isinstance(route.target, EventsTarget)
    }
    orchestrator.definitions.use(configuration.workflows)
    engine = settings.engine
    reachable = Reach(
        frozenset(engine.allow_hosts),
        origins(settings),
        configuration.activities,
        engine.revealed(),
        servers(settings),
    )
    events = engine.events
    orchestrator.engine.use(
        routes,
        reachable,
        _sink(events),
        _processes(engine.run),
        lifecycle=events.lifecycle,
        limits=_limits(settings),
        tasks=events.tasks,
        broker=None if events.nats is None else _broker(events.nats, configuration.path.parent),
    )


def _sink(events: Events) -> Sink | None:
    if events.sink is None or events.cluster is None:
        return None
    path = "/" + events.sink.removeprefix("cluster://").partition("/")[2]
    return Sink(events.cluster, path, events.mode)


def _limits(settings: Settings) -> Limits:
    limits = settings.engine.limits
    clusters = {name: _share(limits.calls, cluster) for name, cluster in settings.clusters.items()}
    return Limits(
        executions=limits.executions,
        workflows={name: Share(each.at_once, each.queue) for name, each in limits.workflows.items()},
        calls=_share(limits.calls),
        clusters=clusters | {name: _share(each) for name, each in limits.clusters.items()},
        functions=_share(limits.functions),
        events=limits.events,
        size=int(limits.size),
        tasks=limits.tasks,
        timers=limits.timers,
        listeners=limits.listeners,
    )


def _share(limit: CallLimit, cluster: Cluster | None = None) -> Share:
    """Without a word on this cluster: no more than its pool lets through, where the others would wait all the same and
    their time would run."""
    if cluster is None or cluster.protocol != "http1":
        return Share(limit.at_once, limit.queue)
    return Share(min(limit.at_once, cluster.pool.connections * len(cluster.endpoints)), limit.queue)


def _broker(nats: Nats, folder: Path) -> Broker:
    consume = nats.consume
    secure = nats.ca is not None or any(each.startswith("tls:") for each in nats.servers)
    return Broker(
        tuple(nats.servers),
        nats.user,
        None if nats.password is None else nats.password.get_secret_value(),
        None if nats.token is None else nats.token.get_secret_value(),
        None if nats.nkey is None else nats.nkey.get_secret_value(),
        nats.creds,
        None if nats.creds is None else partial(nats_credentials.read, folder / nats.creds),
        ssl.create_default_context(cafile=None if nats.ca is None else str(folder / nats.ca)) if secure else None,
        nats.ca,
        nats.publish,
        nats.jetstream,
        None if consume is None else consume.stream,
        "" if consume is None else consume.durable,
        consume.subjects[0] if consume is not None and consume.subjects else None,
    )


def _processes(run: Run) -> dict[str, Confinement]:
    return {
        language: Confinement(
            program,
            frozenset(each.workflows),
            each.time / 1000,
            max(1, each.cpu // 1000),
            int(each.memory),
            int(each.output),
            each.processes,
        )
        for language, (program, each) in run.allowed().items()
    }
