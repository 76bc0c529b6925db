"""A copy of the registry, made while it is used, is as good as what it was made from."""

from __future__ import annotations

import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from registry.test_registry import CONFIG, said
from running import Gateway
from stagedoor.cli import main

Start = Callable[..., Gateway]


def test_keys_are_good_again_after_a_restore(
    gateway: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    running = gateway(CONFIG)

    def say(*words: str) -> tuple[int, str]:
        capsys.readouterr()
        code = main(["consumers", *words])
        told = capsys.readouterr()
        return code, told.out + told.err

    assert say("backup", "copy.db")[1] == f"error: there is no registry {tmp_path / 'stagedoor.db.registry'}\n"
    said(running, "consumers", "create", "app")
    key = said(running, "keys", "create", "app")["key"]
    assert running.request("GET", "/open", headers={"x-api-key": key}).status == 200
    code, told = say("backup", "copy.db")
    assert (code, told) == (0, "copy.db and copy.db.key: checked\n")
    assert {stat.S_IMODE(Path(name).stat().st_mode) for name in ("copy.db", "copy.db.key")} == {0o600}
    assert say("backup", "copy.db")[1].startswith("error: copy.db is there already")
    later = said(running, "keys", "create", "app")["key"]
    assert running.end() == 0

    assert say("restore", "copy.db")[1].startswith(f"error: {tmp_path / 'stagedoor.db.registry'} is there already")
    for file in tmp_path.glob("stagedoor.db.registry*"):
        file.rename(tmp_path / f"old-{file.name}")
    assert say("restore", "nothing.db") == (1, "error: there is no registry nothing.db\n")
    code, told = say("restore", "copy.db")
    assert code == 0, told
    running = gateway()
    assert running.request("GET", "/open", headers={"x-api-key": key}).status == 200
    assert running.request("GET", "/open", headers={"x-api-key": later}).status == 401
    assert "Traceback" not in running.log


def test_what_is_no_registry_is_no_copy_of_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "other.db").write_bytes(b"SQLite format 3\0" + bytes(100))
    (tmp_path / "other.db.key").write_bytes(bytes(32))
    assert main(["consumers", "restore", "other.db", "--store", "stagedoor.db"]) == 1
    assert "error: " in capsys.readouterr().err
    assert not list(tmp_path.glob("stagedoor.db*"))
