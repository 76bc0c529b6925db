"""Credentials beside API keys: what may be created and rotated, whatever their kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from stagedoor.config.consumer import Consumer
from stagedoor.registry import key, mtls
from stagedoor.registry.basic import Basic
from stagedoor.registry.credential import Kind, Made
from stagedoor.registry.model import Rights, Rotation, ending, read, rights
from stagedoor.registry.mtls import Mtls
from stagedoor.registry.refused import Refused
from stagedoor.registry.signature import Signature
from stagedoor.registry.store import Row, Store

KINDS: Mapping[str, Kind] = {kind.name: kind for kind in (Basic(), Mtls(), Signature())}
CREDENTIALS = 100
"""Of one consumer, beside its keys."""
RIGHTS = tuple(Rights.model_fields)
Json = Any
Marks = Mapping[tuple[str, str], str]
"""Kind and mark → the consumer whose it is."""


def of_configuration(consumers: Mapping[str, Consumer]) -> Marks:
    """What the registry's may not be."""
    marks: dict[tuple[str, str], str] = {}
    for name, consumer in consumers.items():
        marks |= {("basic", user.username or name): name for user in consumer.basic}
        marks |= {("mtls", mtls.mark(each)): name for each in consumer.certificates}
        marks |= {("signature", each.id): name for each in consumer.signature_keys}
    return marks


def asked(body: Json) -> tuple[Kind, Rights]:
    """What a body asks for; Refused says what is wrong with it."""
    named = body.get("kind") if isinstance(body, dict) else None
    kind = KINDS.get(named) if isinstance(named, str) else None
    if kind is None:
        raise Refused(400, f"kind: expected one of {', '.join(KINDS)}")
    return kind, read(kind.new, {name: value for name, value in body.items() if name != "kind"})


def create(store: Store, fixed: Marks, consumer: str, kind: Kind, wanted: Rights, made: Made, now: int) -> Row:
    _room(store, consumer)
    others = store.rows("credential", kind=kind.name, mark=made.mark)
    _free(fixed, others, kind, made)
    return _put(store, consumer, kind, made, rights(wanted, now), now)


def rotate(store: Store, fixed: Marks, old: Row, wanted: Rotation, made: Made, now: int) -> Row:
    """Another one with the same rights; the old one ends when the overlap is over."""
    kind, consumer = KINDS[old["kind"]], old["consumer"]
    _room(store, consumer)
    store.put("credential", old | {"expires": ending(old["expires"], wanted, now)})
    others = store.rows("credential", kind=kind.name, mark=made.mark)
    for other in [each for each in others if each["expires"] is not None and each["expires"] <= now]:
        store.remove("credential", id=other["id"])
        others.remove(other)
    if kind.most > 1 and len(others) >= kind.most:
        raise Refused(409, f"there are {kind.most} for '{made.mark}', which is the bound: revoke one first")
    _free(fixed, others if kind.most == 1 else [], kind, made)
    return _put(store, consumer, kind, made, {part: old[part] for part in RIGHTS}, now)


def shown(row: Row) -> Json:
    """Without what is secret."""
    facts = {name: row[name] for name in (*RIGHTS, "created", "last_used")}
    return {"id": row["id"], "kind": row["kind"], **KINDS[row["kind"]].shown(row), **facts}


def compile(row: Row) -> tuple[str, Json]:
    """Where the data plane finds it, and what it is told."""
    kind = KINDS[row["kind"]]
    parts = {part: row[part] for part in ("id", "scopes", "expires", "routes", "networks")}
    return kind.part, parts | {"credential": kind.compile(row)}


def _room(store: Store, consumer: str) -> None:
    if len(store.rows("credential", consumer=consumer)) >= CREDENTIALS:
        raise Refused(409, f"'{consumer}' has {CREDENTIALS} credentials, which is the bound: revoke one first")


def _free(fixed: Marks, others: list[Row], kind: Kind, made: Made) -> None:
    """One mark of two consumers would leave it to chance who calls."""
    if (kind.name, made.mark) in fixed:
        owner = fixed[kind.name, made.mark]
        raise Refused(409, f"'{made.mark}' is of '{owner}' in the configuration already: change it there")
    if others:
        raise Refused(409, f"'{made.mark}' is of '{others[0]['consumer']}' already")


def _put(store: Store, consumer: str, kind: Kind, made: Made, facts: Row, now: int) -> Row:
    id = f"{consumer}/{kind.name}/{key.random_name()}"
    kept = {"id": id, "consumer": consumer, "kind": kind.name, "mark": made.mark, "settings": made.settings}
    store.put("credential", facts | kept | {"created": now})
    return store.rows("credential", id=id)[0]
