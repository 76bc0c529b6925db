"""What one credential says of others: each must stand for one consumer. No key is ever told."""

from __future__ import annotations

from collections.abc import Iterator

from stagedoor.config.consumer import Consumer, key
from stagedoor.config.problem import Path, did_you_mean, listed
from stagedoor.config.settings import Settings

Found = Iterator[tuple[Path, str, str | None]]


def credentials(settings: Settings, routes: list[str] | None) -> Found:
    """Every problem of this kind. ``routes``: the names of all, None where some may be missing."""
    keys: dict[str, str] = {}
    users: dict[str, str] = {}
    ids: dict[str, Path] = {}
    for name, consumer in settings.consumers.items():
        yield from _keys(name, consumer, keys, routes)
        yield from _users(name, consumer, users)
        yield from _ids(name, consumer, ids)


def _keys(name: str, consumer: Consumer, seen: dict[str, str], routes: list[str] | None) -> Found:
    for index, each in enumerate(map(key, consumer.api_keys)):
        path: Path = ("consumers", name, "api_keys", index)
        first = seen.get(each.key.get_secret_value())
        seen.setdefault(each.key.get_secret_value(), name)
        if first == name:
            yield path, "this key is given twice", "remove one of the two"
        elif first is not None:
            yield path, f"the consumer '{first}' has the same key", "give each consumer a key of its own"
        for at, scope in enumerate(each.scopes or ()):
            if scope not in consumer.scopes:
                message = "the consumer does not have this scope, so its key cannot"
                yield (*path, "scopes", at), message, "add it to the consumer's 'scopes'"
        for at, route in enumerate(each.routes or ()):
            if routes is not None and route not in routes:
                hint = did_you_mean(route, routes) or f"there are: {listed(routes)}"
                yield (*path, "routes", at), f"there is no route '{route}'", hint


def _users(name: str, consumer: Consumer, seen: dict[str, str]) -> Found:
    for index, user in enumerate(consumer.basic):
        username = user.username or name
        first = seen.setdefault(username, name)
        path: Path = ("consumers", name, "basic", index)
        if (first, username) != (name, username):
            yield path, f"the consumer '{first}' has a user of the same name", "give each user a name of its own"
        elif sum((other.username or name) == username for other in consumer.basic[:index]):
            yield path, "this user is given twice", "remove one of the two"


def _ids(name: str, consumer: Consumer, seen: dict[str, Path]) -> Found:
    keys = [("api_keys", index, each.id) for index, each in enumerate(map(key, consumer.api_keys))]
    users = [("basic", index, user.id) for index, user in enumerate(consumer.basic)]
    for option, index, identity in keys + users:
        path: Path = ("consumers", name, option, index, "id")
        if identity is not None and seen.setdefault(identity, path) != path:
            yield path, "another credential has the same id", "give each credential an id of its own"
