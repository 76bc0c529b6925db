"""What APIs, routes and consumers say of each other's versions: names that must exist."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from stagedoor.config.api import VersionMarker
from stagedoor.config.problem import Path, did_you_mean, listed
from stagedoor.config.settings import Settings
from stagedoor.config.time import is_date

Found = Iterator[tuple[Path, str, str | None]]


def versions(settings: Settings, clusters: list[str] | None, names: list[str] | None) -> Found:
    """Every problem of this kind. ``clusters`` and ``names`` of the APIs: None where some may be missing."""
    yield from _apis(settings, clusters)
    yield from _routes(settings, names)
    for name, consumer in settings.consumers.items():
        for api, version in consumer.versions.items():
            yield from _pin(settings, ("consumers", name, "versions", api), api, version, names)


def _apis(settings: Settings, clusters: list[str] | None) -> Found:
    for name, api in settings.apis.items():
        at: Path = ("apis", name)
        for key, chosen in (("default", api.default), ("fallback", api.fallback)):
            yield from _version((*at, key), chosen, api.versions)
        by_date = isinstance(api.version, VersionMarker) and api.version.date is not None
        for version, settings_ in api.versions.items():
            here = (*at, "versions", version)
            if by_date and not is_date(version):
                yield here, f"'{version}' is no date", "versions that are told apart by a date are named 2026-01-31"
            yield from _version((*here, "successor"), settings_.successor, api.versions)
            if settings_.step is not None:
                yield from _version((*here, "step", "to"), settings_.step.to, api.versions)
            cluster = settings_.cluster
            if cluster is not None and clusters is not None and cluster not in clusters:
                hint = did_you_mean(cluster, clusters) or f"there are: {listed(clusters)}"
                yield (*here, "cluster"), f"there is no cluster '{cluster}'", hint


def _routes(settings: Settings, names: list[str] | None) -> Found:
    for name, route in settings.routes.items():
        at: Path = ("routes", name)
        if route.api is None:
            for key, given in (("steps", route.steps), ("match", route.match.versions)):
                if given:
                    path = (*at, key) if key == "steps" else (*at, key, "versions")
                    yield path, "the route belongs to no API", "say which one: api: NAME"
            continue
        yield from _api((*at, "api"), route.api, names)
        if route.api not in settings.apis:
            continue
        known = settings.apis[route.api].versions
        for index, version in enumerate(route.match.versions):
            yield from _version((*at, "match", "versions", index), version, known)
        for version in route.steps:
            yield from _version((*at, "steps", version), version, known)
            if version in known and known[version].step is None:
                hint = "give it a 'step' there: step: {to: VERSION}"
                yield (*at, "steps", version), f"the version '{version}' of '{route.api}' has no step", hint


def _pin(settings: Settings, path: Path, api: str, version: str, names: list[str] | None) -> Found:
    yield from _api(path, api, names)
    if api in settings.apis:
        yield from _version(path, version, settings.apis[api].versions)


def _api(path: Path, api: str, names: list[str] | None) -> Found:
    if names is not None and api not in names:
        yield path, f"there is no API '{api}'", did_you_mean(api, names) or f"there are: {listed(names)}"


def _version(path: Path, version: str | None, known: Iterable[str]) -> Found:
    if version is not None and version not in known:
        hint = did_you_mean(version, known) or f"there are: {listed(known)}"
        yield path, f"there is no version '{version}'", hint
