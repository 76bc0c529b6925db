"""Copies of a store that is in use, and gateways on them."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path

import pytest
from disk import damage
from doors import doors
from flow import call, write
from running import Gateway
from service import Service
from stagedoor.cli import main

Start = Callable[..., Gateway]
Command = Callable[..., tuple[int, str]]
LATER = {"prefer": "respond-async"}


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str]]:
    """``stagedoor executions``, its exit code and what it says; in a folder of its own."""

    def run(folder: Path, *arguments: str) -> tuple[int, str]:
        with contextlib.chdir(folder):
            code = main(["executions", *arguments])
        said = capsys.readouterr()
        return code, said.out + said.err

    return run


def test_a_copy_holds_all_that_was_acknowledged_before_and_goes_on_by_itself(
    gateway: Start, service: Service, command: Command, tmp_path: Path
) -> None:
    write(tmp_path, [{"only": call("/hang")}])
    write(tmp_path, [{"only": call("/quick")}], name="quick")
    running = gateway(doors(["flow", "quick"], service.port))
    waiting = running.request("POST", "/flow", {}, LATER).headers["location"]
    ended: list[int] = []
    more = threading.Event()

    def load() -> None:
        # Everything that is acknowledged before a copy begins is in it, however much comes meanwhile.
        while not more.is_set():
            answer = running.request("POST", "/quick", {"number": len(ended)}, {"idempotency-key": str(len(ended))})
            assert answer.status == 200
            ended.append(len(ended))

    loader = threading.Thread(target=load)
    loader.start()
    try:
        service.await_request("/quick", 20)
        service.await_request("/hang")
        before = len(ended)
        code, said = command(tmp_path, "backup", "copy.db")
        assert code == 0, said
        assert "bytes, checked" in said
        code, said = command(tmp_path, "backup", "copy.db")
        assert (code, "copy.db is there already: name another file" in said) == (1, True)
    finally:
        more.set()
        loader.join(60)
    assert (tmp_path / "copy.db").stat().st_mode & 0o777 == 0o600
    assert not list(tmp_path.glob(".copy.db*")), "nothing is left behind"

    other = tmp_path / "other"
    other.mkdir()
    for file in (*tmp_path.glob("*.yaml"), tmp_path / "copy.db"):
        (other / file.name).write_bytes(file.read_bytes())
    code, said = command(tmp_path, "restore", "copy.db")
    assert (code, f"stagedoor.db is in use by process {running.process.pid}" in said) == (1, True)
    assert command(other, "restore", "copy.db")[0] == 0
    code, said = command(other, "restore", "copy.db")
    assert (code, "move stagedoor.db, stagedoor.db-wal and stagedoor.db-shm away first" in said) == (1, True)
    copy = Gateway(other)
    try:
        service.await_request("/hang", 2)
        service.release()
        sent = len(service.to("/quick"))
        for number in range(before):
            answer = copy.request("POST", "/quick", {"number": number}, {"idempotency-key": str(number)})
            assert answer.status == 200
        assert len(service.to("/quick")) == sent, "each of them is known there"
        for each in (copy, running):
            shown = each.request("GET", waiting, headers={"prefer": "wait=20"})
            assert shown.json["status"] in ("running", "completed")
        assert copy.end() == running.end() == 0
    finally:
        copy.kill()
    for folder in (other, tmp_path):
        connection = sqlite3.connect(folder / "stagedoor.db")
        assert connection.execute("SELECT count(*) FROM execution WHERE status != 'completed'").fetchone() == (0,)
        connection.close()


def test_a_damaged_store_is_not_taken_for_a_good_copy(command: Command, tmp_path: Path) -> None:
    store = tmp_path / "store.db"
    connection = sqlite3.connect(store)
    connection.executescript("CREATE TABLE schema_version (version); CREATE TABLE event (x)")
    connection.close()
    assert command(tmp_path, "backup", "good.db", "--store", "store.db")[0] == 0
    damage(store, "event")
    code, said = command(tmp_path, "backup", "bad.db", "--store", "store.db")
    assert (code, "the file is damaged" in said) == (1, True)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["good.db", "store.db"]
    code, said = command(tmp_path, "backup", "bad.db")
    assert (code, "name the store's file with --store" in said) == (1, True)


def test_an_old_file_is_written_anew_and_gives_back_from_then_on(command: Command, tmp_path: Path) -> None:
    store = tmp_path / "store.db"
    connection = sqlite3.connect(store)
    connection.executescript(files("stagedoor.engine").joinpath("schema_1.sql").read_text("utf-8"))
    connection.execute("INSERT INTO schema_version VALUES (1)")
    rows = [("e", number, "t", 0.0, "x" * 4000) for number in range(500)]
    connection.executemany("INSERT INTO event VALUES (?, ?, ?, ?, ?)", rows)
    connection.execute("DELETE FROM event")
    connection.commit()
    connection.close()
    before = store.stat().st_size
    code, said = command(tmp_path, "vacuum", "--store", "store.db")
    assert (code, f"{before} bytes, now {store.stat().st_size}" in said) == (0, True)
    assert store.stat().st_size < before / 4
    connection = sqlite3.connect(store)
    assert connection.execute("PRAGMA auto_vacuum").fetchone() == (2,)
    connection.close()
