"""The demo as a newcomer starts it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from shop import run
from stagedoor.demo.processes import until

ANY_PORTS = ["--port", "0", "--admin-port", "0"]


def children(process: int) -> list[int]:
    """All processes below one."""
    found = []
    for child in Path(f"/proc/{process}/task/{process}/children").read_text().split():
        found += [int(child), *children(int(child))]
    return found


def running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_the_tour_does_what_it_says_and_ends() -> None:
    ended = run("demo", "--tour", *ANY_PORTS)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "✗ the" not in ended.stdout
    for said in ("releaseStock", "Card declined", "reserveStock", "401", "429", "Every step did what it says."):
        assert said in ended.stdout, said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_it_stays_up_until_a_signal_ends_all_of_it(number: signal.Signals, tmp_path: Path) -> None:
    output = tmp_path / "output"
    with output.open("w") as file:
        demo = subprocess.Popen(
            # SIGINT is ignored at the start, as a shell has it for what runs in the background.
            ["sh", "-c", 'trap "" INT; exec "$@"', "sh", sys.executable, "-m", "stagedoor", "demo", *ANY_PORTS],
            stdout=file,
            stderr=file,
            env={**os.environ, "TMPDIR": str(tmp_path)},
        )
    try:
        until(lambda: "curl" in output.read_text() or demo.poll() is not None, "the tour")
        assert demo.poll() is None, output.read_text()
        processes = children(demo.pid)
        assert len(processes) == 10, "the gateway, the services, and who started those"
        demo.send_signal(number)
        assert demo.wait(60) == 0
    finally:
        demo.kill()
        demo.wait()
    until(lambda: not any(map(running, processes)), "the end of all processes")
    assert "Traceback" not in output.read_text()
    assert [path for path in tmp_path.iterdir() if path != output] == [], "nothing is left behind"


def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run("demo", "--tour", "--port", str(port), "--admin-port", "0")
    assert ended.returncode == 1
    assert f"port {port} of 127.0.0.1 is taken" in ended.stderr
    assert "Traceback" not in ended.stderr
