"""What a service did, in a SQLite file that outlives the process: each idempotency key is carried out once."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

Json = Any

_SCHEMA = """
CREATE TABLE IF NOT EXISTS arrival (seq INTEGER PRIMARY KEY, at REAL, key TEXT, method TEXT, id TEXT, fault TEXT);
CREATE TABLE IF NOT EXISTS entry (
    seq INTEGER PRIMARY KEY, at REAL, key TEXT UNIQUE, method TEXT, path TEXT, body TEXT, status INTEGER, answer TEXT,
    repeats INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS thing (id TEXT PRIMARY KEY, state TEXT NOT NULL, body TEXT NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    body: Json
    repeated: bool = False
    """True where the key was known: the work was done before, and this is what was answered then."""


class Ledger:
    """One connection, used by one thread. What ``record`` returned survives the process, not the machine."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.row_factory = sqlite3.Row
        # A test kills processes, not machines: the kernel keeps what was written.
        self._db.executescript(f"PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; {_SCHEMA}")

    def arrived(self, key: str | None, method: str, id: str, fault: str | None) -> None:
        """Note a request for the thing ``id``, whatever becomes of it."""
        self._db.execute(
            "INSERT INTO arrival (at, key, method, id, fault) VALUES (?, ?, ?, ?, ?)",
            (time.time(), key, method, id, fault),
        )

    def record(self, key: str | None, method: str, path: str, body: Json, work: Callable[[], Answer]) -> Answer:
        """Do the work and note it in one transaction, or repeat the answer that the key got the first time. A key that
        comes with another request is refused with 422."""
        text = json.dumps(body, sort_keys=True)
        self._db.execute("BEGIN IMMEDIATE")
        try:
            answer = self._repeat(key, method, path, text)
            if answer is None:
                answer = work()
                self._db.execute(
                    "INSERT INTO entry (at, key, method, path, body, status, answer) VALUES (?, ?, ?, ?, ?, ?, ?)",
                    (time.time(), key, method, path, text, answer.status, json.dumps(answer.body)),
                )
            self._db.execute("COMMIT")
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        return answer

    def _repeat(self, key: str | None, method: str, path: str, text: str) -> Answer | None:
        if key is None:
            return None
        row = self._db.execute("SELECT * FROM entry WHERE key = ?", (key,)).fetchone()
        if row is None:
            return None
        if (row["method"], row["path"], row["body"]) != (method, path, text):
            detail = f"The key was first used for {row['method']} {row['path']}."
            return Answer(422, {"title": "Idempotency-Key used for another request", "status": 422, "detail": detail})
        self._db.execute("UPDATE entry SET repeats = repeats + 1 WHERE seq = ?", (row["seq"],))
        return Answer(row["status"], json.loads(row["answer"]), repeated=True)

    def state(self, id: str) -> str | None:
        """``live``, ``gone``, ``void`` for one undone before it was done, or None."""
        row = self._db.execute("SELECT state FROM thing WHERE id = ?", (id,)).fetchone()
        return None if row is None else str(row["state"])

    def put(self, id: str, state: str, body: Json) -> None:
        self._db.execute(
            "INSERT INTO thing VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET state = excluded.state",
            (id, state, json.dumps(body)),
        )

    def get(self, id: str) -> Json:
        """What is live under that id, or None."""
        row = self._db.execute("SELECT body FROM thing WHERE id = ? AND state = 'live'", (id,)).fetchone()
        return None if row is None else json.loads(row["body"])

    def live(self) -> list[Json]:
        """All that is live, oldest first."""
        rows = self._db.execute("SELECT body FROM thing WHERE state = 'live' ORDER BY rowid")
        return [json.loads(row["body"]) for row in rows]

    def read(self) -> Json:
        """All of it, for people and tests: what was done, and every request that came."""
        entries = [dict(row) for row in self._db.execute("SELECT * FROM entry ORDER BY seq")]
        for entry in entries:
            entry["body"], entry["answer"] = json.loads(entry["body"]), json.loads(entry["answer"])
        things = {row["id"]: row["state"] for row in self._db.execute("SELECT id, state FROM thing")}
        arrivals = [dict(row) for row in self._db.execute("SELECT * FROM arrival ORDER BY seq")]
        return {"entries": entries, "things": things, "arrivals": arrivals}
