"""The proxies that are compared: how each is configured and started, in the variants that the subjects need."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

from benchmarks.load import tool
from benchmarks.process import OTHER_CORE, PROXY_CORE, free_port, running
from benchmarks.row import NotRun, Row

PEERS = Path(__file__).parent / "peers"
BIN = Path(sys.executable).parent
KEY = "bench-key-0123456789abcdefghijklmnop"


@dataclass(frozen=True)
class Peer:
    name: str
    config: str | None
    """A template in ``peers/``."""
    command: tuple[str, ...]
    """``{config}`` is the rendered file, ``{port}`` where it listens, ``{upstream}`` the service's port."""
    headers: dict[str, str] = field(default_factory=dict)
    """What a request needs to get through."""
    variant: str | None = None
    """Of its configuration, where it is not the subject's."""


STAGEDOOR = (str(BIN / "stagedoor"), "run", "{config}")
ENVOY = (
    str(shutil.which("envoy", path=str(BIN)) or "envoy"),
    *("--concurrency", "{workers}", "--log-level", "error", "--disable-hot-restart", "-c", "{config}"),
)
NGINX = Peer("nginx", "nginx.conf", ("nginx", "-c", "{config}"))
NGINX_UNBUFFERED = Peer("nginx, unbuffered", NGINX.config, NGINX.command, variant="unbuffered")
BARE = [
    NGINX,
    Peer("HAProxy", "haproxy.cfg", ("haproxy", "-f", "{config}")),
    Peer("stagedoor", "stagedoor.yaml", STAGEDOOR),
    Peer("Envoy", "envoy.yaml", ENVOY),
]


def relay(directory: Path) -> Peer:
    """The least that a proxy can do: what it costs, nothing in front of a service can go below."""
    return Peer("relay of bytes", None, (tool("relay", directory), "{port}", "{upstream}"))


FEATURES = [
    Peer("stagedoor, key + limit + log + metrics", "stagedoor-features.yaml", STAGEDOOR, {"X-Api-Key": KEY}),
    Peer("Envoy, key + limit + log", "envoy-features.yaml", ENVOY, {"X-Api-Key": KEY}),
]


def chosen(text: str, variant: str) -> str:
    """A line that ends in ``#: A B`` is for the variants A and B alone."""
    lines = []
    for line in text.splitlines():
        line, marked, variants = line.partition("#: ")
        if not marked or variant in variants.split():
            lines.append(line.rstrip())
    return "\n".join(lines) + "\n"


def render(name: str, directory: Path, values: dict[str, object], variant: str = "plain") -> Path:
    text = chosen((PEERS / name).read_text(), variant)
    for key, value in {**values, "dir": directory}.items():
        text = text.replace("{" + key + "}", str(value))
    target = directory / name
    target.write_text(text)
    return target


@dataclass(frozen=True)
class Door:
    """A proxy that runs."""

    peer: Peer
    port: int
    pid: int

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"


def certificate(directory: Path) -> dict[str, object]:
    """A self-signed ECDSA P-256 certificate, the same for every proxy: the values that the templates use."""
    chain, key, both = directory / "chain.pem", directory / "key.pem", directory / "chain-and-key.pem"
    if not both.exists():
        made = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
        names = ["-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
        command = [*made.split(), *names, "-keyout", str(key), "-out", str(chain)]
        subprocess.run(command, check=True, capture_output=True, timeout=30)
        both.write_text(chain.read_text() + key.read_text())
    return {"chain": chain, "key_file": key, "chain_and_key": both}


@contextmanager
def small_service(directory: Path, cores: str = OTHER_CORE) -> Iterator[int]:
    """nginx answering a 34-byte JSON, as cheap as a real server can be; yields its port."""
    port = free_port()
    config = render("upstream.conf", directory, {"upstream": port})
    with running(["nginx", "-c", str(config)], port, cores):
        yield port


@contextmanager
def serving(
    peers: Sequence[Peer],
    directory: Path,
    upstream: int,
    variant: str = "plain",
    *,
    workers: int = 1,
    cores: str = PROXY_CORE,
    more: Mapping[str, object] = MappingProxyType({}),
) -> Iterator[tuple[list[Row], dict[str, Door]]]:
    """Run the peers until the block ends: their rows, and by the rows' names the doors of those that did start.
    ``more`` is what their templates use besides."""
    values: dict[str, object] = {"upstream": upstream, "key": KEY, "workers": workers, **certificate(directory), **more}
    with ExitStack() as stack:
        rows, doors = [], {}
        for peer in peers:
            row = Row(peer.name)
            rows.append(row)
            try:
                doors[row.name] = stack.enter_context(_started(peer, directory, values, variant, cores))
            except NotRun as error:
                row.not_run = str(error)
                print(f"{peer.name:40} not run: {error}", flush=True)
        yield rows, doors


@contextmanager
def alone(name: str, directory: Path, upstream: int) -> Iterator[Door]:
    """One bare proxy in a fresh process: an allocator that has grown once does not grow again. NotRun if it fails."""
    with serving([peer for peer in BARE if peer.name == name], directory, upstream) as ([row], doors):
        if row.not_run is not None:
            raise NotRun(row.not_run)
        yield doors[name]


@contextmanager
def _started(peer: Peer, directory: Path, values: dict[str, object], variant: str, cores: str) -> Iterator[Door]:
    port = free_port()
    home = directory / f"{port}"
    home.mkdir()
    config = peer.config and render(peer.config, home, {**values, "port": port}, peer.variant or variant)
    known = {"config": config, "port": port, **{name: values[name] for name in ("upstream", "workers")}}
    command = [part.format(**known) for part in peer.command]
    with running(command, port, cores, home) as pid:
        yield Door(peer, port, pid)
