"""Long executions are read back from a snapshot; where that is wanted, what is in it is gone from the log."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flow import call, config, undo, write
from resumed import state
from running import Gateway, until
from service import Service
from stagedoor.cli import main
from stagedoor.engine.history import History
from stagedoor.engine.recovery import read_back
from stagedoor.engine.snapshots import STEP
from stagedoor.engine.store import reader
from stagedoor.workflow.machine import Machine
from stagedoor.workflow.parse import restore
from stagedoor.workflow.snapshot import SnapshotUnreadable

Start = Callable[..., Gateway]
Json = Any
ROUNDS = 30
"""Of a loop with two events each."""
KEPT = ["ExecutionStarted", "CompensationRegistered"]
"""Of those before a snapshot."""


def loop(count: int) -> Json:
    steps = [{"a": call("/a")}, {"w": {"wait": {"milliseconds": 1}}}]
    return {"for": {"each": "x", "in": f"${{ [range({count})] }}"}, "do": steps}


def store(folder: Path) -> sqlite3.Connection:
    return sqlite3.connect(folder / "stagedoor.db")


def events(folder: Path) -> list[tuple[int, str]]:
    found = store(folder).execute("SELECT seq, type FROM event ORDER BY seq")
    return [(int(seq), str(kind)) for seq, kind in found]


def snapshot(folder: Path) -> tuple[int, int] | None:
    found = store(folder).execute("SELECT seq, compacted FROM snapshot").fetchone()
    return None if found is None else (int(found[0]), int(found[1]))


@pytest.mark.parametrize("compact", [False, True], ids=["kept", "compacted"])
def test_an_execution_goes_on_from_its_snapshot_after_a_crash(
    gateway: Start, service: Service, tmp_path: Path, compact: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    first = call("/first", undo="undo")
    end = [{"hang": call("/hang")}, {"fail": call("/status/409")}]
    write(tmp_path, [{"first": first}, {"loop": loop(ROUNDS)}, *end], {"undo": undo("/undo")})
    extra = f"engine: {{snapshots: {{every: 20, compact: {str(compact).lower()}}}}}"
    running = gateway(config(service.port, extra=extra))
    location = running.request("POST", "/flow", {"n": 1}, {"prefer": "respond-async"}).headers["location"]
    id = location.rpartition("/")[2]
    service.await_request("/hang")
    seq, compacted = until(lambda: snapshot(tmp_path))
    assert (seq >= 19, compacted) == (True, int(compact))
    assert "stagedoor_snapshots_total 0\n" not in running.metrics()
    before = running.admin(f"/executions/{id}").json
    assert before["input"] == {"n": 1}
    assert before["status"] == "running"
    assert [entry["name"] for entry in before["timeline"]] == ["first", "loop", *["a", "w"] * ROUNDS, "hang"]
    if compact:
        until(lambda: [kind for number, kind in events(tmp_path) if number < seq] == KEPT)
    running.kill()

    kept = events(tmp_path)
    whole = [number for number, _ in kept] == list(range(len(kept)))
    assert whole is not compact
    if compact:
        assert [kind for number, kind in kept if number < seq] == KEPT
    running = gateway()
    after = running.admin(f"/executions/{id}").json
    assert {**after, "updated": None} == {**before, "updated": None}
    service.release()
    until(lambda: running.admin(f"/executions/{id}").json["status"] == "faulted")
    shown = running.admin(f"/executions/{id}").json
    assert shown["error"]["compensation"]["status"] == "complete"
    assert len(service.to("/a")) == ROUNDS
    assert len({seen.key for seen in service.to("/hang")}) == len(service.to("/undo")) == 1

    # The end is told before it is written.
    history = until(lambda: (it := running.admin(f"/executions/{id}/history").json)["status"] == "faulted" and it)
    assert history["format"] == (2 if compact else 1)
    assert ("snapshot" in history) is compact
    if compact:
        assert [each["type"] for each in history["kept"]][:2] == ["ExecutionStarted", "CompensationRegistered"]
    if compact:
        words = {"from": "hang", "reason": "again", "by": "ann"}
        refused = running.admin(f"/executions/{id}/restart", "POST", words)
        assert (refused.status, "begins at a snapshot" in refused.json["detail"]) == (409, True)
        assert main(["executions", "history", id, "--admin", running.admin_url]) == 0
        told = capsys.readouterr()
        assert json.loads(told.out) == history
        assert f"begins at a snapshot, after event {history['snapshot']['seq'] + 1}" in told.err
    file = tmp_path / "history.json"
    file.write_text(json.dumps(history))
    assert main(["replay", "--json", str(file)]) == 0
    [told] = json.loads(capsys.readouterr().out)["histories"]
    assert (told["status"], told["pending"]) == ("faulted", [])
    if compact:
        assert main(["replay", str(file), "--workflow", str(tmp_path / "flow.workflow.yaml")]) == 1
        assert "begins at a snapshot" in capsys.readouterr().err
    assert running.end() == 0


def test_a_snapshot_of_another_release_is_passed_over_where_all_events_are_there(
    gateway: Start, service: Service, tmp_path: Path
) -> None:
    write(tmp_path, [{"loop": loop(ROUNDS)}, {"hang": call("/hang")}])
    running = gateway(config(service.port, extra="engine: {snapshots: {every: 20}}"))
    running.request("POST", "/flow", {}, {"prefer": "respond-async"})
    service.await_request("/hang")
    until(lambda: snapshot(tmp_path))
    running.kill()
    document, execution = store(tmp_path).execute("SELECT document, id FROM definition, execution").fetchone()
    definition = restore(json.loads(document))

    def read(change: str) -> Machine:
        with store(tmp_path) as connection:
            connection.execute(f"UPDATE snapshot SET {change}")
        history = History(reader(tmp_path / "stagedoor.db"), asyncio.new_event_loop())
        try:
            return read_back(history, execution, definition)[0]
        finally:
            history.close()

    whole = read("compacted = 0")
    assert state(read("data = json_set(data, '$.format', 99)")) == state(whole)
    assert [type(command).__name__ for command in whole.pending()] == ["Call"]
    with pytest.raises(SnapshotUnreadable, match="a snapshot of format 99; this release reads up to"):
        read("compacted = 1")


def test_what_was_kept_for_long_makes_room_once_that_is_wanted(
    gateway: Start, service: Service, tmp_path: Path
) -> None:
    count = 2 * STEP + 100
    emits = {
        "for": {"each": "x", "in": f"${{ [range({count})] }}"},
        "do": [{"e": {"emit": {"event": {"with": {"type": "t", "source": "urn:s"}}}}}],
    }
    more = {**emits, "for": {"each": "x", "in": "${ [range(50)] }"}}
    write(tmp_path, [{"many": emits}, {"first": call("/hang")}, {"more": more}, {"last": call("/hang")}])
    running = gateway(config(service.port, extra="engine: {snapshots: {every: 100000}}"))
    assert running.request("POST", "/flow", {}, {"prefer": "respond-async"}).status == 202
    service.await_request("/hang")
    until(lambda: len(events(tmp_path)) > count)
    running.kill()
    gateway(config(service.port, extra="engine: {snapshots: {every: 20, compact: true}}"))
    service.release()
    until(lambda: len(events(tmp_path)) < 100)
    assert events(tmp_path)[0] == (0, "ExecutionStarted")
