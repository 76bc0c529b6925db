"""What a client meets on the wire before and around routing: refusals, interim answers, and clients that leave."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import closing

import pytest
from running import Gateway, until

Start = Callable[..., Gateway]


class Endpoint:
    """A server that plays one script for each path, byte by byte as written here."""

    def __init__(self) -> None:
        self.left = threading.Event()
        """A client's call to ``/hang`` was dropped."""
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with closing(connection):
            head = b""
            while b"\r\n\r\n" not in head:
                more = connection.recv(4096)
                if not more:
                    return
                head += more
            if b" /early " in head:
                connection.sendall(
                    b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"
                )
            elif b" /expect " in head:
                connection.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
                body = head.partition(b"\r\n\r\n")[2]
                while len(body) < 5:
                    body += connection.recv(16)
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n" + body)
            elif b" /hang " in head:
                while connection.recv(16):
                    pass
                self.left.set()
            else:
                connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    def close(self) -> None:
        self._listener.close()


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with closing(Endpoint()) as started:
        yield started


@pytest.fixture
def door(gateway: Start, endpoint: Endpoint) -> tuple[str, int]:
    running = gateway(f"""
listeners: {{public: {{bind: "127.0.0.1:0", limits: {{head_read: 500ms, half_close: 300ms}}}}}}
admin: {{bind: "127.0.0.1:0"}}
clusters: {{service: {{endpoints: ["http://127.0.0.1:{endpoint.port}"]}}}}
routes: {{all: {{match: {{path: "/{{rest...}}"}}, target: {{cluster: service}}}}}}
""")
    host, _, port = running.addresses["listeners"]["public"].rpartition(":")
    return host, int(port)


def converse(door: tuple[str, int], sent: bytes, *, shut: bool = False, until_text: bytes | None = None) -> bytes:
    """What comes back until the gateway closes, or until the text has come."""
    with socket.create_connection(door, timeout=20) as client:
        client.sendall(sent)
        if shut:
            client.shutdown(socket.SHUT_WR)
        got = b""
        while until_text is None or until_text not in got:
            more = client.recv(4096)
            if not more:
                break
            got += more
        return got


def test_a_head_with_two_framings_is_refused_with_a_problem_and_the_connection_ends(door: tuple[str, int]) -> None:
    sent = b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"
    got = converse(door, sent)
    assert got.startswith(b"HTTP/1.1 400 ")
    assert b"application/problem+json" in got


def test_a_good_request_before_a_bad_one_is_answered_first(door: tuple[str, int]) -> None:
    got = converse(door, b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\n\r\n")
    assert got.startswith(b"HTTP/1.1 200 ")
    assert got.count(b"HTTP/1.1 ") == 2
    assert b"HTTP/1.1 400 " in got


def test_a_head_that_does_not_end_in_time_is_answered_with_408(door: tuple[str, int]) -> None:
    assert converse(door, b"GET / HT").startswith(b"HTTP/1.1 408 ")


def test_early_hints_are_passed_on_before_the_answer(door: tuple[str, int]) -> None:
    got = converse(door, b"GET /early HTTP/1.1\r\nHost: a\r\n\r\n", until_text=b"\r\n\r\nok")
    assert got.startswith(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\nHTTP/1.1 200 ")


def test_a_client_that_has_shut_its_side_still_gets_its_answer(door: tuple[str, int]) -> None:
    assert converse(door, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", shut=True).startswith(b"HTTP/1.1 200 ")


def test_a_call_whose_client_is_gone_is_dropped(door: tuple[str, int], endpoint: Endpoint) -> None:
    with socket.create_connection(door, timeout=20) as client:
        client.sendall(b"GET /hang HTTP/1.1\r\nHost: a\r\n\r\n")
    until(endpoint.left.is_set)


def test_the_body_is_asked_for_when_the_endpoint_wants_it(door: tuple[str, int]) -> None:
    with socket.create_connection(door, timeout=20) as client:
        client.sendall(b"POST /expect HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 5\r\n\r\n")
        assert client.recv(4096) == b"HTTP/1.1 100 Continue\r\n\r\n"
        client.sendall(b"hello")
        got = b""
        while not got.endswith(b"hello"):
            got += client.recv(4096)
        assert got.startswith(b"HTTP/1.1 200 ")
