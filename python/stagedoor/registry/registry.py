"""Creating, changing and revoking: each change is one transaction with its line in the audit log, and it is in force in
the data plane before it is acknowledged."""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from stagedoor import _core
from stagedoor.config.plan import compile_plan
from stagedoor.registry import credentials
from stagedoor.registry import key as keys
from stagedoor.registry.credentials import KINDS, Marks
from stagedoor.registry.model import ConsumerChange, NewConsumer, NewKey, NewPlan, Rotation, ending, read, rights
from stagedoor.registry.refused import Refused
from stagedoor.registry.store import Row, Store

CONSUMERS = 100_000
KEYS = 100
"""Of one consumer."""
PLANS = 1000
Json = Any
log = logging.getLogger("stagedoor.registry")


class Registry:
    """Thread-safe. Its file is made when the first thing is created."""

    def __init__(self, store: Path, plane: _core.DataPlane, clock: Callable[[], float] = time.time) -> None:
        self._path = store.with_name(store.name + ".registry")
        self._key_path = store.with_name(store.name + ".registry.key")
        self._plane, self._clock = plane, clock
        self._lock = threading.Lock()
        self._store: Store | None = None
        self._secret = b""
        self._fixed: Mapping[str, Json] = {}
        self._fixed_plans: Collection[str] = ()
        self._fixed_marks: Marks = {}

    # Beginning and ending.

    def use(self, consumers: Mapping[str, Json], plans: Collection[str], marks: Marks) -> None:
        """Those of the configuration, which cannot be changed here. What is of both is told."""
        with self._lock:
            self._fixed, self._fixed_plans, self._fixed_marks = consumers, plans, marks
            if self._store is not None:
                self._tell_both(self._store)

    def load(self) -> None:
        """Read what there is and put it in force. StoreError, KeyFileError or ValueError say why it cannot be."""
        if self._path.exists():
            with self._lock:
                store = self._open()
                self._push()
                self._tell_both(store)

    def _tell_both(self, store: Store) -> None:
        for row in store.rows("consumer"):
            if row["name"] in self._fixed:
                log.warning("the consumer '%s' is both in the configuration and in the registry", row["name"])
        for row in store.rows("credential"):
            owner = self._fixed_marks.get((row["kind"], row["mark"]))
            if owner is not None:
                log.warning("the credential '%s' is not taken: it is '%s' of the configuration", row["id"], owner)

    def close(self) -> None:
        with self._lock:
            if self._store is not None:
                self._keep_times(self._store)
                self._store.close()
                self._store = None

    def keep_times(self) -> None:
        """Write down when credentials were last used."""
        with self._lock:
            if self._store is not None:
                self._keep_times(self._store)

    def _keep_times(self, store: Store) -> None:
        try:
            store.used(self._plane.last_used())
        except sqlite3.Error as error:
            log.error("when credentials were last used cannot be written: %s", error)

    def _open(self) -> Store:
        if self._store is None:
            store = Store(self._path)
            self._secret = keys.secret(self._key_path, fresh=not store.rows("api_key"))
            self._store = store
        return self._store

    # Reading.

    def consumers(self, after: str | None, limit: int) -> Json:
        """Those of the configuration and of the registry, by name, page by page."""
        fixed = [{"name": name, "source": "configuration", **each} for name, each in self._fixed.items()]
        with self._reading() as store:
            own = [] if store is None else [_shown(store, row) for row in store.page(after or "", limit)]
        both = sorted(fixed + own, key=lambda each: each["name"])
        page = [each for each in both if each["name"] > (after or "")][:limit]
        return {"consumers": page, "next": page[-1]["name"] if len(page) == limit else None}

    def consumer(self, name: str) -> Json:
        with self._reading() as store:
            row = None if store is None else store.row("consumer", name=name)
            if store is not None and row is not None:
                return _shown(store, row) | {
                    "api_keys": [_shown_key(key) for key in store.rows("api_key", consumer=name)]
                }
        if name in self._fixed:
            return {"name": name, "source": "configuration", **self._fixed[name]}
        raise _no_consumer(name)

    def credentials(self, name: str) -> Json:
        """Those of a consumer that are no keys."""
        with self._reading() as store:
            row = None if store is None else store.row("consumer", name=name)
            rows = [] if store is None or row is None else store.rows("credential", consumer=name)
        if row is None and name not in self._fixed:
            raise _no_consumer(name)
        return {"credentials": [credentials.shown(each) for each in rows]}

    def plans(self) -> Json:
        fixed = [{"name": name, "source": "configuration"} for name in sorted(self._fixed_plans)]
        with self._reading() as store:
            own = [] if store is None else [{"source": "registry", **row} for row in store.rows("plan")]
        return {"plans": fixed + own}

    def audit(self, before: int | None, limit: int) -> Json:
        with self._reading() as store:
            rows = [] if store is None else store.audit(before, limit)
        return {"audit": rows, "next": rows[-1]["id"] if len(rows) == limit else None}

    @contextmanager
    def _reading(self) -> Iterator[Store | None]:
        with self._lock:
            yield self._store

    # Changing.

    def create_consumer(self, who: str, body: Json) -> Json:
        asked = read(NewConsumer, body)
        with self._changing(who, "create consumer", asked.name) as change:
            self._not_fixed(asked.name)
            if change.store.row("consumer", name=asked.name) is not None:
                raise Refused(409, f"there is a consumer '{asked.name}' already")
            if len(change.store.rows("consumer")) >= CONSUMERS:
                raise Refused(409, f"there are {CONSUMERS} consumers, which is the bound")
            row = {
                "name": asked.name,
                "groups": asked.groups or [],
                "plan": asked.plan,
                "versions": asked.versions or {},
            }
            change.store.put("consumer", row | {"disabled": bool(asked.disabled), "created": self._now()})
            change.after = _shown(change.store, _found(change.store, asked.name))
            return change.after

    def change_consumer(self, who: str, name: str, body: Json) -> Json:
        asked = read(ConsumerChange, body)
        with self._changing(who, "change consumer", name) as change:
            row = self._own(change.store, name)
            change.before = _shown(change.store, row)
            given = asked.model_fields_set
            for part in ("groups", "plan", "disabled", "versions"):
                if part in given and (part == "plan" or getattr(asked, part) is not None):
                    row[part] = getattr(asked, part)
            change.store.put("consumer", row)
            change.after = _shown(change.store, _found(change.store, name))
            return change.after

    def delete_consumer(self, who: str, name: str) -> None:
        """With all its credentials."""
        with self._changing(who, "delete consumer", name) as change:
            change.before = _shown(change.store, self._own(change.store, name))
            change.store.remove("consumer", name=name)

    def create_key(self, who: str, name: str, body: Json) -> Json:
        """The one time that the key itself is shown."""
        asked = read(NewKey, body)
        with self._changing(who, "create key", name) as change:
            self._own(change.store, name)
            if len(change.store.rows("api_key", consumer=name)) >= KEYS:
                raise Refused(409, f"'{name}' has {KEYS} keys, which is the bound: revoke one first")
            return self._new_key(change, name, rights(asked, self._now()))

    def rotate_key(self, who: str, name: str, id: str, body: Json) -> Json:
        """A new key with the same rights; the old one stays good for the overlap."""
        asked = read(Rotation, body)
        with self._changing(who, "rotate key", f"{name}/{id}") as change:
            old = self._key(change.store, name, id)
            if len(change.store.rows("api_key", consumer=name)) >= KEYS:
                raise Refused(409, f"'{name}' has {KEYS} keys, which is the bound: revoke one first")
            change.before = _shown_key(old)
            fresh = {part: old[part] for part in credentials.RIGHTS}
            change.store.put("api_key", old | {"expires": ending(old["expires"], asked, self._now())})
            return self._new_key(change, name, fresh)

    def revoke_key(self, who: str, name: str, id: str) -> None:
        with self._changing(who, "revoke key", f"{name}/{id}") as change:
            change.before = _shown_key(self._key(change.store, name, id))
            change.store.remove("api_key", id=id)

    def create_credential(self, who: str, name: str, body: Json) -> Json:
        """The one time that a password which was made is shown."""
        kind, wanted = credentials.asked(body)
        made = kind.make(name, wanted)
        with self._changing(who, "create credential", name) as change:
            self._own(change.store, name)
            row = credentials.create(change.store, self._fixed_marks, name, kind, wanted, made, self._now())
            change.after = credentials.shown(row)
            return change.after | made.once

    def rotate_credential(self, who: str, name: str, id: str, body: Json) -> Json:
        """Another one with the same rights; the old one stays good for the overlap."""
        with self._lock:
            old = self._credential(self._open(), name, id)
        kind = KINDS[old["kind"]]
        wanted = read(kind.again, body)
        made = kind.remake(old, wanted)
        with self._changing(who, "rotate credential", id) as change:
            old = self._credential(change.store, name, id)
            change.before = credentials.shown(old)
            row = credentials.rotate(change.store, self._fixed_marks, old, wanted, made, self._now())
            change.after = credentials.shown(row)
            return change.after | made.once

    def revoke_credential(self, who: str, name: str, id: str) -> None:
        with self._changing(who, "revoke credential", id) as change:
            change.before = credentials.shown(self._credential(change.store, name, id))
            change.store.remove("credential", id=id)

    def put_plan(self, who: str, body: Json) -> Json:
        """Created, or replaced."""
        asked = read(NewPlan, body)
        with self._changing(who, "put plan", asked.name) as change:
            if asked.name in self._fixed_plans:
                raise Refused(409, f"the plan '{asked.name}' is one of the configuration: change it there")
            if len(change.store.rows("plan")) >= PLANS:
                raise Refused(409, f"there are {PLANS} plans, which is the bound")
            change.before = change.store.row("plan", name=asked.name)
            rates = compile_plan(asked)["rate_limit"]
            change.store.put("plan", {"name": asked.name, "rate_limit": rates})
            change.after = change.store.row("plan", name=asked.name)
            return {"source": "registry", **(change.after or {})}

    def delete_plan(self, who: str, name: str) -> None:
        with self._changing(who, "delete plan", name) as change:
            change.before = change.store.row("plan", name=name)
            if change.before is None:
                raise Refused(404, f"there is no plan '{name}' in the registry")
            having = [row["name"] for row in change.store.rows("consumer", plan=name)]
            if having:
                raise Refused(409, f"{len(having)} consumers have the plan, '{having[0]}' for one")
            change.store.remove("plan", name=name)

    # Inside a change.

    def _new_key(self, change: _Change, name: str, row: Row) -> Json:
        made = keys.make(self._secret)
        id = f"{name}/{made.prefix}"
        kept = {"id": id, "consumer": name, "prefix": made.prefix, "hmac": made.hmac, "created": self._now()}
        change.store.put("api_key", row | kept)
        change.after = _shown_key(change.store.rows("api_key", id=id)[0])
        return change.after | {"key": made.text}

    def _now(self) -> int:
        return int(self._clock())

    def _not_fixed(self, name: str) -> None:
        if name in self._fixed:
            raise Refused(409, f"the consumer '{name}' is one of the configuration: change it there")

    def _own(self, store: Store, name: str) -> Row:
        row = store.row("consumer", name=name)
        if row is None:
            self._not_fixed(name)
            raise _no_consumer(name)
        return row

    def _key(self, store: Store, name: str, id: str) -> Row:
        self._own(store, name)
        row = store.row("api_key", consumer=name, id=id)
        if row is None:
            raise Refused(404, f"'{name}' has no key '{id}'")
        return row

    def _credential(self, store: Store, name: str, id: str) -> Row:
        self._own(store, name)
        row = store.row("credential", consumer=name, id=id)
        if row is None:
            raise Refused(404, f"'{name}' has no credential '{id}'")
        return row

    @contextmanager
    def _changing(self, who: str, action: str, subject: str) -> Iterator[_Change]:
        """All of it or nothing: what the data plane refuses, or the disk, is not in force and not in the store."""
        with self._lock:
            store = self._open()
            change = _Change(store)
            store.begin()
            try:
                yield change
                store.note(self._now(), who, action, subject, change.before, change.after)
                self._push()
                try:
                    store.commit()
                except sqlite3.Error:
                    store.rollback()
                    self._push()
                    raise
            except ValueError as error:
                store.rollback()
                raise Refused(400, str(error)) from None
            except BaseException:
                store.rollback()
                raise

    def _push(self) -> None:
        store = self._open()
        kinds = ("api_keys", *(kind.part for kind in KINDS.values()))
        consumers: dict[str, Json] = {
            row["name"]: {part: row[part] for part in ("groups", "plan", "disabled", "versions")}
            | {kind: [] for kind in kinds}
            for row in store.rows("consumer")
        }
        for row in store.rows("api_key"):
            parts = {part: row[part] for part in ("id", "prefix", "scopes", "expires", "routes", "networks")}
            consumers[row["consumer"]]["api_keys"].append(parts | {"hmac_sha256": row["hmac"]})
        for row in store.rows("credential"):
            kind, parts = credentials.compile(row)
            consumers[row["consumer"]][kind].append(parts)
        plans = {row["name"]: {"rate_limit": row["rate_limit"]} for row in store.rows("plan")}
        registry = {"hmac_key": self._secret.hex(), "consumers": consumers, "plans": plans}
        self._plane.update_registry(json.dumps(registry))


class _Change:
    def __init__(self, store: Store) -> None:
        self.store = store
        self.before: Json = None
        self.after: Json = None


def _found(store: Store, name: str) -> Row:
    return store.rows("consumer", name=name)[0]


def _shown(store: Store, row: Row) -> Json:
    counts = {
        name: len(store.rows(table, consumer=row["name"]))
        for name, table in (("keys", "api_key"), ("credentials", "credential"))
    }
    return {"source": "registry", **row, **counts}


def _shown_key(row: Row) -> Json:
    return {name: value for name, value in row.items() if name not in ("hmac", "consumer")}


def _no_consumer(name: str) -> Refused:
    return Refused(404, f"there is no consumer '{name}'")
