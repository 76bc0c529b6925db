"""Clients that people use, against a gateway before a real server."""

from __future__ import annotations

import os
import shutil
import ssl
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from echo import Echo
from running import Gateway

Curl = Callable[..., str]
ROOT = Path(__file__).parent.parent.parent


@dataclass(frozen=True)
class Way:
    """How a client comes to the gateway."""

    listener: str
    version: str
    """As curl prints it."""
    curl: tuple[str, ...] = ()
    """What makes curl come this way."""
    scheme: str = "http"


WAYS = {
    "http/1.1": Way("plain", "1.1"),
    "h2c": Way("plain", "2", curl=("--http2-prior-knowledge",)),
    "https/1.1": Way("tls", "1.1", curl=("--http1.1",), scheme="https"),
    "https/2": Way("tls", "2", scheme="https"),
}


@pytest.fixture(scope="session")
def echo() -> Iterator[Echo]:
    with Echo() as running:
        yield running


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the gateway, for 127.0.0.1, signed by itself. Its key is `key.pem` beside it."""
    folder = tmp_path_factory.mktemp("certificate")
    command = [program("openssl"), "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += ["-subj", "/CN=gateway", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"]
    command += ["-keyout", str(folder / "key.pem"), "-out", str(folder / "chain.pem")]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return folder / "chain.pem"


@pytest.fixture
def trust(certificate: Path) -> ssl.SSLContext:
    """Of a client that trusts the gateway. Clients change it: they say in it what they speak."""
    return ssl.create_default_context(cafile=certificate)


@pytest.fixture(scope="session")
def doors(echo: Echo, certificate: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """One gateway for all tests, which change nothing in it: the address of each of its listeners."""
    folder = tmp_path_factory.mktemp("clients")
    (folder / "stagedoor.yaml").write_text(f"""
listeners:
  plain: {{bind: "127.0.0.1:0", http2: {{h2c: true}}}}
  h2c: {{bind: "127.0.0.1:0", http1: false, http2: {{h2c: true}}}}
  tls:
    bind: "127.0.0.1:0"
    tls: {{certificates: [{{chain: "{certificate}", key: "{certificate.parent / "key.pem"}"}}]}}
admin: {{bind: "127.0.0.1:0"}}
clusters: {{service: {{endpoints: ["{echo.url}"]}}}}
policies: {{limits: {{body: 64MiB}}}}
routes:
  all: {{match: {{path: "/{{rest...}}"}}, target: {{cluster: service}}}}
  pages: {{match: {{path: "/page/{{count}}"}}, policies: {{compress: {{}}}}, target: {{cluster: service}}}}
""")
    running = Gateway(folder)
    try:
        assert running.addresses, running.log
        yield running.addresses["listeners"]
    finally:
        running.kill()


@pytest.fixture(params=list(WAYS))
def way(request: pytest.FixtureRequest) -> Way:
    return WAYS[request.param]


@pytest.fixture
def door(doors: dict[str, str], way: Way) -> str:
    """The URL of a listener; the client has to come to it in the test's way."""
    return f"{way.scheme}://{doors[way.listener]}"


def program(name: str) -> str:
    """Where it is. `make test-tools` installs it; without it the test is skipped, but never in CI."""
    if found := shutil.which(name):
        return found
    missing = f"{name} is not installed: make test-tools"
    if os.environ.get("CI"):
        pytest.fail(missing)
    pytest.skip(missing)


@pytest.fixture
def curl(way: Way, certificate: Path) -> Curl:
    """Runs curl, which comes in the test's way; what it prints. Anything but exit code 0 is a failure."""
    command = [program("curl"), "--silent", "--show-error", "--max-time", "60", "--noproxy", "*"]
    command += ["--cacert", str(certificate), *way.curl]

    def run(*arguments: str, given: bytes = b"") -> str:
        done = subprocess.run([*command, *arguments], input=given, capture_output=True, check=False, timeout=90)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()

    return run
