"""nghttp and h2load, the clients of nghttp2."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from conftest import WAYS, program
from echo import content

MIB = 1 << 20
pytestmark = pytest.mark.parametrize("way", [name for name, way in WAYS.items() if way.version == "2"], indirect=True)


@pytest.fixture
def nghttp() -> Callable[..., str]:
    """Runs nghttp; what it prints."""
    path = program("nghttp")

    def run(*arguments: str) -> str:
        command = [path, "--no-verify-peer", "--timeout=60", *arguments]
        done = subprocess.run(command, capture_output=True, check=False, timeout=90)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode(errors="replace")

    return run


def test_several_requests_share_a_connection(nghttp: Callable[..., str], door: str) -> None:
    shown = nghttp("--verbose", "--null-out", *(f"{door}/bytes/{size}" for size in (0, 1, 100_000, 300_000)))
    assert shown.count("] Connected") == 1
    assert shown.count(":status: 200") == 4
    assert "RST_STREAM" not in shown


def test_an_upload_is_answered(nghttp: Callable[..., str], door: str, tmp_path: Path) -> None:
    (tmp_path / "sent").write_bytes(content(3 * MIB))
    shown = nghttp(f"--data={tmp_path}/sent", f"{door}/echo")
    assert f'"length": {3 * MIB}' in shown


def test_an_upload_above_the_limit_is_refused_and_the_rest_declined(
    nghttp: Callable[..., str], door: str, tmp_path: Path
) -> None:
    (tmp_path / "sent").write_bytes(content(65 * MIB))
    shown = nghttp("--verbose", f"--data={tmp_path}/sent", f"{door}/echo")
    assert ":status: 413" in shown
    assert "NO_ERROR" in shown.partition("recv RST_STREAM")[2]


def test_h2load_gets_every_answer_over_many_streams(door: str) -> None:
    command = [program("h2load"), "--requests=3000", "--clients=10", "--max-concurrent-streams=50"]
    done = subprocess.run([*command, f"{door}/bytes/1000"], capture_output=True, check=True, timeout=90)
    assert b"3000 succeeded, 0 failed, 0 errored, 0 timeout" in done.stdout, done.stdout.decode()
