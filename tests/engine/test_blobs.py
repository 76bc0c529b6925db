"""Large payloads: once beside the log, whole wherever they are read, and gone with the last that refers to them."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable
from hashlib import sha256
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from flow import call, config, write
from running import Gateway
from service import Service
from stagedoor.cli import main
from stagedoor.engine.blob import BYTES, pack, pack_state, unpack_state
from stagedoor.engine.history import History
from stagedoor.engine.record import CLASSES, decode, encode
from stagedoor.engine.store import STEPS, connect, reader
from stagedoor.workflow.events import CallCompleted, ExecutionCompleted, ExecutionStarted, TimerFired

Start = Callable[..., Gateway]
Json = Any
LARGE = {"text": "x" * BYTES, "ü": "é"}


def rows(folder: Path, sql: str) -> list[Any]:
    return sqlite3.connect(folder / "stagedoor.db").execute(sql).fetchall()


def test_what_is_large_in_an_event_is_a_blob_of_its_own() -> None:
    event = CallCompleted(1.0, "/do/0/a#1", 200, LARGE, {"a": "b"})
    data, [blob] = pack(event, encode(event))
    assert json.loads(data) == {
        "call": "/do/0/a#1",
        "status": 200,
        "headers": {"a": "b"},
        "blobs": {"content": sha256(blob.data.encode()).hexdigest()},
    }
    assert decode("CallCompleted", 1.0, data, {blob.hash: blob.data}.__getitem__) == event
    same = ExecutionCompleted(2.0, LARGE)
    assert pack(same, encode(same))[1] == (blob,)
    with pytest.raises(ValueError, match="kept elsewhere"):
        decode("CallCompleted", 1.0, data)


def test_what_is_small_stays_where_it_is() -> None:
    event = ExecutionCompleted(1.0, "x" * (BYTES - 100))
    assert pack(event, encode(event)) == (encode(event), ())
    assert pack(TimerFired(1.0, "t"), '{"timer":"t"}') == ('{"timer":"t"}', ())


def test_no_event_has_a_field_that_is_named_as_the_references_are() -> None:
    assert not [name for name, kind in CLASSES.items() if "blobs" in kind.__dataclass_fields__]


def test_what_is_large_in_a_state_is_a_blob_too() -> None:
    state = {"format": 1, "objects": [], "data": [1, LARGE, {"blobs": {}}, LARGE], "timeline": {}}
    data, blobs = pack_state(state)
    assert len(data) < 1000
    assert unpack_state(data, {blob.hash: blob.data for blob in blobs}.__getitem__) == state


def test_a_store_that_knew_no_blobs_is_brought_forward_and_read_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "store.db"
    event = ExecutionStarted(1.0, "e1", "hash", LARGE)
    with sqlite3.connect(path) as connection:
        for step in STEPS[: STEPS.index("schema_6.sql")]:
            connection.executescript(files("stagedoor.engine").joinpath(step).read_text("utf-8"))
        connection.execute("INSERT INTO schema_version VALUES (5)")
        connection.execute("INSERT INTO event VALUES ('e1', 0, 'ExecutionStarted', 1.0, ?)", (encode(event),))
    connect(path).close()
    history = History(reader(path), asyncio.new_event_loop())
    assert history.events("e1") == [event]
    assert history.past("e1").snapshot is None
    history.close()


def test_a_payload_that_comes_and_goes_is_kept_once_and_read_back_after_a_crash(
    gateway: Start, service: Service, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, [{"hang": call("/hang")}, {"back": {"set": "${ $workflow.input }"}}])
    running = gateway(config(service.port))
    location = running.request("POST", "/flow", LARGE, {"prefer": "respond-async"}).headers["location"]
    id = location.rpartition("/")[2]
    service.await_request("/hang")
    running.kill()
    running = gateway()
    service.release()
    answer = running.request("POST", "/flow", LARGE)
    assert answer.json == LARGE
    assert running.admin(f"/executions/{id}").json["input"] == LARGE
    assert len(rows(tmp_path, "SELECT hash FROM blob")) == 1
    assert "stagedoor_blobs_total" in running.metrics()
    assert max(size for (size,) in rows(tmp_path, "SELECT length(data) FROM event")) < 1000

    file = tmp_path / "history.json"
    history = running.admin(f"/executions/{id}/history").json
    assert history["events"][0]["data"]["input"] == LARGE
    file.write_text(json.dumps(history))
    assert main(["replay", str(file)]) == 0
    assert running.end() == 0
    goes_with_the_last_event(tmp_path)


def goes_with_the_last_event(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "stagedoor.db")
    (one,), (other,) = connection.execute("SELECT id FROM execution")

    def left() -> tuple[int, int]:
        found = connection.execute("SELECT (SELECT count(*) FROM blob), (SELECT count(*) FROM blob_use)").fetchone()
        return int(found[0]), int(found[1])

    assert left() == (1, 4)
    connection.execute("DELETE FROM event WHERE execution = ?", (one,))
    assert left() == (1, 2)
    connection.execute("DELETE FROM event WHERE execution = ? AND seq = 0", (other,))
    assert left() == (1, 1)
    connection.execute("DELETE FROM event")
    assert left() == (0, 0)
