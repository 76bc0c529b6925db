"""The load at a fixed rate, against a service that stalls."""

from __future__ import annotations

import shutil
import socket
import threading
import time
from pathlib import Path

import pytest

from benchmarks.load import answered, tool
from benchmarks.row import NotRun

pytestmark = pytest.mark.skipif(not all(map(shutil.which, ("rustc", "taskset"))), reason="rustc or taskset is missing")
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"
STALL_S = 0.6


@pytest.fixture
def program(tmp_path: Path) -> str:
    return tool("openloop", tmp_path)


def serve(listening: socket.socket, answer: bytes, stall_s: float) -> None:
    """One connection; before its first answer it does nothing for a while."""
    connection, _ = listening.accept()
    with connection:
        while connection.recv(4096):
            time.sleep(stall_s)
            stall_s = 0
            connection.sendall(answer)


def measured(program: str, answer: bytes, stall_s: float) -> dict[str, float]:
    """A request every 10 ms for a second, over one connection."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, args=(listening, answer, stall_s))
        thread.start()
        port = listening.getsockname()[1]
        try:
            return answered([program, f"127.0.0.1:{port}", "/", "100", "1", "1"], 1)
        finally:
            thread.join()


def test_a_stall_is_paid_by_every_request_that_was_due_in_it(program: str) -> None:
    found = measured(program, OK, STALL_S)
    assert found["requests"] + found["missed"] == 100
    assert found["p99_us"] >= (STALL_S - 0.02) * 1e6
    assert found["p50_us"] >= 90_000, "half of the requests were due in the first 0.5 s of the stall's 0.6 s"


def test_an_answer_that_is_no_success_is_no_measurement(program: str) -> None:
    with pytest.raises(NotRun, match="503"):
        measured(program, b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n", 0)
