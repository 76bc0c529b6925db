"""TLS through a real gateway: the example, and certificates that are renewed while requests go on."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from running import Gateway, until
from stagedoor.config import check

EXAMPLE = Path(__file__).parent.parent / "examples" / "tls"
REQUEST = b"GET %b HTTP/1.1\r\nHost: shop.localhost\r\n\r\n"


class Door:
    """The example in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.made = folder, folder / "made"
        shutil.copytree(EXAMPLE, folder, dirs_exist_ok=True, ignore=shutil.ignore_patterns("made"))
        self.make()
        # The second listener's port must be known to the first one's cluster.
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = free.getsockname()[1]
        text = (folder / "stagedoor.yaml").read_text()
        text = text.replace("127.0.0.1:8443", "127.0.0.1:0").replace("127.0.0.1:8444", f"127.0.0.1:{port}")
        (folder / "stagedoor.yaml").write_text('admin: {bind: "127.0.0.1:0"}\nworkers: 2\n' + text)
        self.gateway = Gateway(folder)
        assert self.gateway.addresses, self.gateway.log

    def make(self) -> None:
        subprocess.run(["sh", str(self.folder / "make.sh")], check=True, cwd=self.folder)

    def connect(self, name: str, *, listener: str = "public", shown: bool = False) -> ssl.SSLSocket:
        context = ssl.create_default_context(cafile=str(self.made / "ca.pem"))
        if shown:
            context.load_cert_chain(self.made / "client.pem", self.made / "client.key")
        host, _, port = self.gateway.addresses["listeners"][listener].rpartition(":")
        return context.wrap_socket(socket.create_connection((host, int(port)), 20), server_hostname=name)

    def certificate(self, name: str) -> bytes:
        """The one that a client is shown."""
        with self.connect(name) as stream:
            return stream.getpeercert(binary_form=True) or b""

    def file(self, name: str) -> bytes:
        return ssl.PEM_cert_to_DER_cert((self.made / f"{name}.pem").read_text())


def ask(stream: ssl.SSLSocket, path: bytes = b"/hello") -> None:
    """Raises where no whole answer comes."""
    stream.sendall(REQUEST % path)
    got = b""
    while not got.endswith(b"\r\n\r\nhello\n"):
        piece = stream.recv(4096)
        assert piece, got
        got += piece
    assert got.startswith(b"HTTP/1.1 200 "), got


@pytest.fixture
def door(tmp_path: Path) -> Iterator[Door]:
    door = Door(tmp_path)
    yield door
    door.gateway.process.kill()
    door.gateway.process.wait()


def test_the_example_is_right_and_does_what_it_says(door: Door) -> None:
    assert check(door.folder / "stagedoor.yaml").problems == []
    for name in ("shop.localhost", "help.localhost"):
        assert door.certificate(name) == door.file(name)
    with door.connect("shop.localhost") as stream:
        ask(stream)
        ask(stream, b"/through")
    with door.connect("shop.localhost", listener="partners", shown=True) as stream:
        ask(stream)
        assert stream.version() == "TLSv1.3"
    with pytest.raises((ssl.SSLError, ConnectionError)), door.connect("shop.localhost", listener="partners") as stream:
        ask(stream)


def test_certificates_are_renewed_under_load_without_a_dropped_connection(door: Door) -> None:
    over, failures, done = threading.Event(), [], [0] * 4

    def load(number: int) -> None:
        try:
            with door.connect("shop.localhost") as stream:
                while not over.is_set():
                    ask(stream)
                    ask(stream, b"/through")
                    done[number] += 1
        except (OSError, AssertionError) as error:
            failures.append(repr(error))

    clients = [threading.Thread(target=load, args=(number,)) for number in range(len(done))]
    for client in clients:
        client.start()
    try:
        for _ in range(2):
            door.make()
            until(lambda: door.certificate("shop.localhost") == door.file("shop.localhost"))
            assert door.certificate("help.localhost") == door.file("help.localhost")
            seen = list(done)
            until(lambda seen=seen: failures or all(now > then for now, then in zip(done, seen, strict=True)))
    finally:
        over.set()
        for client in clients:
            client.join()
    assert failures == []


def test_a_certificate_that_has_become_bad_is_named_while_the_others_are_renewed(door: Door) -> None:
    kept = door.file("help.localhost")
    door.make()
    (door.made / "help.localhost.pem").write_text("nonsense")
    until(lambda: door.certificate("shop.localhost") == door.file("shop.localhost"))
    assert door.certificate("help.localhost") == kept
    until(lambda: "what these files held before stays in use" in door.gateway.log)
    assert "listeners.public.tls.certificates[1].chain" in door.gateway.log
    assert "help.localhost.pem' holds no certificate in PEM" in door.gateway.log
    assert "PRIVATE KEY" not in door.gateway.log
    report = check(door.folder / "stagedoor.yaml")
    assert [problem.path[-1] for problem in report.errors] == ["chain"]
    # A start goes on with what there is.
    door.gateway.process.kill()
    door.gateway.process.wait()
    door.gateway = Gateway(door.folder)
    assert door.certificate("shop.localhost") == door.file("shop.localhost")


def test_a_gateway_without_any_usable_certificate_does_not_start(tmp_path: Path) -> None:
    (tmp_path / "stagedoor.yaml").write_text(
        "admin: {bind: '127.0.0.1:0'}\n"
        "listeners: {a: {bind: '127.0.0.1:0', tls: {certificates: [{chain: a.pem, key: a.key}]}}}\n"
    )
    gateway = Gateway(tmp_path)
    assert gateway.process.wait() == 1
    assert "a.pem' does not exist" in gateway.log
