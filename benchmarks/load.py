"""Load generators, each bounded in time: wrk, h2load, and the small ones in ``tools/``."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from benchmarks.process import OTHER_CORE
from benchmarks.row import NotRun

HERE = Path(__file__).parent
UNIT_MS = {"us": 0.001, "ms": 1.0, "s": 1000.0, "m": 60_000.0}
OFFERED = {"OPENSSL_CONF": str(HERE / "peers" / "openssl.cnf")}


@dataclass(frozen=True)
class Load:
    requests: int
    seconds: float
    p50_ms: float
    p99_ms: float
    failed: int

    @property
    def per_second(self) -> float:
        return self.requests / self.seconds


def run(command: list[str], seconds: float, cores: str = OTHER_CORE) -> str:
    """The output of a generator; NotRun if it fails or does not end in time."""
    try:
        done = subprocess.run(
            ["taskset", "-c", cores, *command],
            capture_output=True,
            text=True,
            timeout=seconds + 30,
            env={**os.environ, **OFFERED},
        )
    except subprocess.TimeoutExpired as error:
        raise NotRun(f"{command[0]} did not end within {error.timeout:g} s") from error
    if done.returncode:
        raise NotRun(f"{Path(command[0]).name} failed: {' '.join((done.stderr or done.stdout).split())[-200:]}")
    return done.stdout


def wrk(
    url: str,
    cores: str,
    connections: int,
    seconds: float,
    headers: Mapping[str, str] | None = None,
    script: str | None = None,
    patience_s: int = 2,
) -> Load:
    """HTTP/1.1, closed loop: each connection sends its next request when the last one was answered. One that is not
    answered within ``patience_s`` has failed."""
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds:g}s", f"--timeout={patience_s}s", "--latency"]
    for name, value in (headers or {}).items():
        command += ["-H", f"{name}: {value}"]
    if script:
        command += ["-s", script]
    output = run([*command, url], seconds, cores)
    done = re.search(r"(\d+) requests in ([\d.]+)(us|ms|s|m)", output)
    if done is None:
        raise NotRun(f"wrk's output was not understood: {output[-200:]}")
    refused = re.search(r"Non-2xx or 3xx responses: (\d+)", output)
    broken = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", output)
    failed = (int(refused[1]) if refused else 0) + (sum(map(int, broken.groups())) if broken else 0)
    return checked(
        Load(
            requests=int(done[1]),
            seconds=float(done[2]) * UNIT_MS[done[3]] / 1000,
            p50_ms=_percentile(output, "50%"),
            p99_ms=_percentile(output, "99%"),
            failed=failed,
        )
    )


def script(target: Path, body: str, headers: Mapping[str, str]) -> str:
    """For wrk, so that it posts JSON: written to ``target``."""
    fields = {"Content-Type": "application/json", **headers}
    lines = ['wrk.method = "POST"', f"wrk.body = {json.dumps(body)}"]
    lines += [f"wrk.headers[{json.dumps(name)}] = {json.dumps(value)}" for name, value in fields.items()]
    target.write_text("\n".join(lines) + "\n")
    return str(target)


def _percentile(output: str, name: str) -> float:
    found = re.search(rf"{name}\s+([\d.]+)(us|ms|s|m)", output)
    if found is None:
        raise NotRun(f"wrk printed no {name} latency: {output[-200:]}")
    return float(found[1]) * UNIT_MS[found[2]]


def h2load(url: str, arguments: list[str], seconds: float, log: Path) -> Load:
    """Closed loop over connections and streams as ``arguments`` say; ``log`` is written, and read for latencies."""
    log.unlink(missing_ok=True)
    ciphers = ["--tls13-ciphers=TLS_AES_128_GCM_SHA256", "--groups=X25519"]
    output = run(["h2load", "-t1", *ciphers, f"--log-file={log}", *arguments, url], seconds)
    done = re.search(r"requests: .* (\d+) succeeded, (\d+) failed, (\d+) errored, (\d+) timeout", output)
    took = re.search(r"finished in ([\d.]+)(us|ms|s|m)", output)
    codes = re.search(r"status codes: (\d+) 2xx", output)
    spoken = re.search(r"Application protocol: (\S+)", output)
    wanted = "http/1.1" if "--h1" in arguments else "h2c" if url.startswith("http:") else "h2"
    if spoken is None or spoken[1] != wanted:
        raise NotRun(f"spoke {spoken[1] if spoken else 'nothing'} instead of {wanted}")
    if done is None or took is None or codes is None:
        raise NotRun(f"h2load's output was not understood: {output[-200:]}")
    times = sorted(int(line.split()[2]) for line in log.read_text().splitlines())
    return checked(
        Load(
            requests=int(codes[1]),
            seconds=float(took[1]) * UNIT_MS[took[2]] / 1000,
            p50_ms=times[len(times) // 2] / 1000 if times else 0.0,
            p99_ms=times[len(times) * 99 // 100] / 1000 if times else 0.0,
            failed=sum(int(done[group]) for group in (2, 3, 4)),
        )
    )


def checked(load: Load) -> Load:
    """A load whose requests all succeeded: what fails is cheaper than what works, and says nothing."""
    if not load.requests and not load.failed:
        raise NotRun("no request was answered")
    if load.failed:
        raise NotRun(f"{load.failed} of {load.requests + load.failed} requests failed")
    return load


def tool(name: str, directory: Path) -> str:
    """Compiles one of ``tools/``; the path of the program."""
    built = directory / name
    if not built.exists():
        source = HERE / "tools" / f"{name}.rs"
        subprocess.run(["rustc", "--edition", "2024", "-O", "-o", str(built), str(source)], check=True, timeout=120)
    return str(built)


def answered(command: list[str], seconds: float) -> dict[str, float]:
    """What one of ``tools/`` measured; NotRun if a request failed."""
    found = json.loads(run(command, seconds))
    if not found["requests"] and not found["failed"]:
        raise NotRun("no request was answered")
    if found["failed"]:
        raise NotRun(f"{found['failed']} connections failed: {found['reason']}")
    return {name: value for name, value in found.items() if isinstance(value, int | float)}
