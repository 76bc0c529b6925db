"""``stagedoor workflow run``: one document against real services, without a gateway."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from flow import call, config, undo, write
from running import until
from service import Service


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "stagedoor", "workflow", "run", "flow.workflow.yaml", *arguments]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def run(folder: Path, *arguments: str) -> tuple[int, str, str]:
    process = start(folder, *arguments)
    out, err = process.communicate(timeout=60)
    assert "Traceback" not in err, err
    return process.returncode, out, err


def test_it_prints_its_output_and_tells_its_steps(service: Service, tmp_path: Path) -> None:
    (tmp_path / "stagedoor.yaml").write_text(config(service.port))
    write(tmp_path, [{"first": call("/first")}, {"last": {"set": {"got": "${ . }"}}}])
    code, out, err = run(tmp_path, "--input", '{"n": 1}')
    assert code == 0, err
    assert set(json.loads(out)) == {"got"}
    assert "✓ first" in err
    assert "POST cluster://service/first" in err
    assert not list(tmp_path.glob("*.db")), "nothing is kept"
    assert run(tmp_path, "--quiet")[2] == ""


def test_without_a_configuration_it_calls_the_hosts_that_are_named(service: Service, tmp_path: Path) -> None:
    host = f"http://127.0.0.1:{service.port}"
    write(tmp_path, [{"a": {"call": "http", "with": {"method": "post", "endpoint": f"{host}/a"}}}])
    code, _, err = run(tmp_path)
    assert code == 1
    assert f"add {host} to engine.allow_hosts" in err
    assert run(tmp_path, "--host", host)[0] == 0
    code, _, err = run(tmp_path, "--host", "127.0.0.1")
    assert code == 1
    assert "--host: expected http(s)://HOST:PORT" in err


def test_one_that_fails_is_undone_and_says_so(service: Service, tmp_path: Path) -> None:
    (tmp_path / "stagedoor.yaml").write_text(config(service.port))
    tasks: list[Any] = [{"a": call("/a", undo="back")}, {"b": {"raise": {"error": {"type": "x", "status": 409}}}}]
    write(tmp_path, tasks, {"back": undo("/a")})
    code, out, err = run(tmp_path)
    assert (code, out) == (1, "")
    assert "compensation: complete" in err
    assert "the execution is faulted" in err


def test_interrupted_it_is_cancelled_and_undone(service: Service, tmp_path: Path) -> None:
    (tmp_path / "stagedoor.yaml").write_text(config(service.port))
    write(tmp_path, [{"a": call("/a", undo="back")}, {"b": {"wait": "PT1H"}}], {"back": undo("/a")})
    process = start(tmp_path)
    assert process.stderr is not None
    until(lambda: "a" in process.stderr.readline())
    os.kill(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "the execution is cancelled" in err


@pytest.mark.parametrize(
    ("arguments", "says"),
    [(["--input", "{"], "--input is not JSON"), (["--config", "none.yaml"], "none.yaml' cannot be read")],
)
def test_what_is_wrong_is_told(arguments: list[str], says: str, service: Service, tmp_path: Path) -> None:
    (tmp_path / "stagedoor.yaml").write_text(config(service.port))
    write(tmp_path, [{"a": {"set": {"n": 1}}}])
    code, _, err = run(tmp_path, *arguments)
    assert code == 1
    assert says in err
