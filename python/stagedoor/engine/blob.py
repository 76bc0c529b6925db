"""Large payloads beside the log: what is too large for a row of it is kept once, by its hash, and referred to.

Who refers to what is in the store, and what nobody refers to any more goes away with the last row that did: triggers
of the schema see to it, whoever deletes events, executions or snapshots.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from typing import Any, NamedTuple

from stagedoor.engine.record import BLOBS, encode_fields, encode_json, encode_text
from stagedoor.workflow.events import Event

BYTES = 64 * 1024
"""JSON of one field of an event, or of one piece of data of a snapshot: a larger one is a blob."""

Json = Any
Read = Callable[[str], str]
"""The data of a blob by its hash. Raises ``KeyError``."""


class Blob(NamedTuple):
    hash: str
    data: str


def blob(data: str) -> Blob:
    return Blob(sha256(data.encode()).hexdigest(), data)


def pack(event: Event, data: str) -> tuple[str, tuple[Blob, ...]]:
    """An event as a row of the log has it, and its blobs. ``data`` is the whole of it as JSON."""
    if len(data) <= BYTES:
        return data, ()
    try:
        fields = encode_fields(event)
    except ValueError:
        # A service's number that is too large for a float: only its text says what it was.
        return data, ()
    blobs = {name: blob(text) for name, text in fields.items() if len(text) > BYTES}
    if not blobs:
        return data, ()
    kept = [f"{encode_text(name)}:{text}" for name, text in fields.items() if name not in blobs]
    kept.append(f'"{BLOBS}":{encode_json({name: each.hash for name, each in blobs.items()})}')
    return "{" + ",".join(kept) + "}", tuple(blobs.values())


def pack_state(state: Json) -> tuple[str, tuple[Blob, ...]]:
    """A machine's state likewise."""
    texts = [encode_json(each) for each in state["data"]]
    blobs = {number: blob(text) for number, text in enumerate(texts) if len(text) > BYTES}
    for number in blobs:
        texts[number] = "null"
    rest = {name: value for name, value in state.items() if name != "data"}
    rest[BLOBS] = {str(number): each.hash for number, each in blobs.items()}
    return f'{encode_json(rest)[:-1]},"data":[{",".join(texts)}]}}', tuple(blobs.values())


def unpack_state(data: str, read: Read) -> Json:
    state = json.loads(data)
    for number, hash in state.pop(BLOBS).items():
        state["data"][int(number)] = json.loads(read(hash))
    return state


def keep(connection: sqlite3.Connection, uses: Iterable[tuple[str, int, Sequence[Blob]]]) -> None:
    """Those of some executions' events, within a transaction."""
    for execution, seq, blobs in uses:
        connection.executemany("INSERT OR IGNORE INTO blob VALUES (?, ?)", blobs)
        connection.executemany(
            "INSERT OR IGNORE INTO blob_use VALUES (?, ?, ?)", [(execution, seq, each.hash) for each in blobs]
        )


def read(connection: sqlite3.Connection, hash: str) -> str:
    """Raises ``KeyError``: the store is damaged."""
    found = connection.execute("SELECT data FROM blob WHERE hash = ?", (hash,)).fetchone()
    if found is None:
        raise KeyError(f"the blob {hash}")
    return str(found[0])
