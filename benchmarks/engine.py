"""The workflow engines that are compared: how each is installed, started and asked for five steps."""

from __future__ import annotations

import hashlib
import http.client
import json
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.peer import BIN, render
from benchmarks.process import BOTH_CORES, cpu_s, family, free_port, rss_mib, running
from benchmarks.row import NotRun

HERE = Path(__file__).parent
ENGINES = HERE / "engines"
INSTALLED = Path(sys.prefix) / "engines"
RESTATE = "@restatedev/restate-server"
SLOW_S = 8.0
COUNTED = "fsync,fdatasync,sync_file_range,msync"
STRACE = ("strace", "-f", "--seccomp-bpf", "-qq", "-e", f"trace={COUNTED}", "-e", "signal=none", "-o")


@dataclass(frozen=True)
class Running:
    """An engine that serves."""

    port: int
    path: str
    pids: tuple[int, ...]
    store: Path
    """The folder, or the SQLite file, of what it keeps."""
    syncs: Path | None = None
    """Where strace writes each flush to the disk, if it does."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{self.path}"

    def at(self, path: str) -> Running:
        """The same, asked for something else."""
        return replace(self, path=path)

    def cpu_s(self) -> float:
        return sum(map(cpu_s, self.pids))

    def rss_mib(self) -> float:
        return sum(map(rss_mib, self.pids))

    def written(self) -> int:
        """Bytes that it has had written to the disk."""
        return sum(_written(member) for pid in self.pids for member in family(pid))

    def stored(self) -> int:
        """Bytes that what it keeps takes up."""
        if self.store.is_file():
            connection = sqlite3.connect(f"file:{self.store}?mode=ro", uri=True, timeout=30)
            try:
                ((pages,), (size,)) = (
                    connection.execute(f"PRAGMA {each}").fetchone() for each in ("page_count", "page_size")
                )
                return int(pages) * int(size)
            finally:
                connection.close()
        return sum(path.stat().st_size for path in self.store.rglob("*") if path.is_file())

    def flushes(self) -> int:
        return 0 if self.syncs is None else sum(1 for _ in self.syncs.open("rb"))


Start = Callable[[Path, int, tuple[str, ...]], AbstractContextManager[Running]]
"""In a folder, calling the service at a port, with the command line of a tracer."""


@dataclass(frozen=True)
class Engine:
    name: str
    start: Start
    least_s: float = 0.0
    """A shorter load says nothing: 64 clients of a slow one wait for seconds."""


def _written(pid: int) -> int:
    for line in Path(f"/proc/{pid}/io").read_text().splitlines():
        if line.startswith("write_bytes:"):
            return int(line.split()[1])
    return 0


@contextmanager
def started(engine: Engine, directory: Path, upstream: int, *, traced: bool = False) -> Iterator[Running]:
    """Runs on both cores until the block ends, and has answered once. NotRun says why not."""
    home = directory / f"{free_port()}"
    home.mkdir()
    if traced and shutil.which("strace") is None:
        raise NotRun("strace is not installed")
    tracer = (*STRACE, str(home / "syncs")) if traced else ()
    with engine.start(home, upstream, tracer) as running_:
        connection = http.client.HTTPConnection("127.0.0.1", running_.port, timeout=30)
        try:
            connection.request("POST", running_.path, BODY, HEADERS)
            answer = connection.getresponse()
            content = answer.read()
        except OSError as error:
            raise NotRun(f"did not answer: {error}") from error
        finally:
            connection.close()
        if answer.status != 200 or "id" not in json.loads(content):
            raise NotRun(f"answered {answer.status}: {content[:200]!r}")
        yield running_


BODY = b'{"sku":"chair","quantity":1}'
HEADERS = {"Content-Type": "application/json"}


@contextmanager
def _stagedoor(home: Path, upstream: int, tracer: tuple[str, ...]) -> Iterator[Running]:
    port = free_port()
    for document in ("five.yaml", "local.yaml"):
        render(document, home, {})
    config = render("stagedoor-workflow.yaml", home, {"port": port, "upstream": upstream})
    command = [*tracer, str(BIN / "stagedoor"), "run", str(config)]
    with running(command, port, BOTH_CORES, home) as pid:
        yield Running(port, "/five", (pid,), home / "workflow.db", home / "syncs" if tracer else None)


@contextmanager
def _dbos(home: Path, upstream: int, tracer: tuple[str, ...], journal: str) -> Iterator[Running]:
    python = _python("dbos")
    store = home / "dbos.sqlite"
    # The mode stays with the file; DBOS itself sets none.
    connection = sqlite3.connect(store)
    connection.execute(f"PRAGMA journal_mode = {journal}")
    connection.execute("CREATE TABLE mode (name TEXT)")
    connection.close()
    port = free_port()
    command = [*tracer, str(python), str(ENGINES / "dbos_five.py"), str(port), str(upstream), str(store)]
    with running(command, port, BOTH_CORES, home) as pid:
        yield Running(port, "/five", (pid,), store, home / "syncs" if tracer else None)


@contextmanager
def _restate(home: Path, upstream: int, tracer: tuple[str, ...]) -> Iterator[Running]:
    python, server = _python("restate"), _npm(RESTATE) / "bin" / "restate-server"
    service, ingress, admin, fabric = (free_port() for _ in range(4))
    settings = {
        "RESTATE_INGRESS__BIND_ADDRESS": f"127.0.0.1:{ingress}",
        "RESTATE_ADMIN__BIND_ADDRESS": f"127.0.0.1:{admin}",
        "RESTATE_BIND_ADDRESS": f"127.0.0.1:{fabric}",
        "RESTATE_ADVERTISED_ADDRESS": f"http://127.0.0.1:{fabric}",
        "RESTATE_LISTEN_MODE": "tcp",
        "RESTATE_LOG_FILTER": "error",
        "DO_NOT_TRACK": "1",
    }
    with ExitStack() as stack:
        (home / "service").mkdir()
        serving = [str(python), str(ENGINES / "restate_five.py"), str(service), str(upstream)]
        worker = stack.enter_context(running(serving, service, BOTH_CORES, home / "service"))
        command = ["env", *(f"{name}={value}" for name, value in settings.items())]
        command += [*tracer, str(server), "--base-dir", str(home / "data"), "--node-name", "bench", "--no-logo"]
        pid = stack.enter_context(running(command, admin, BOTH_CORES, home))
        _register(admin, service)
        yield Running(ingress, "/Five/run", (worker, pid), home / "data", home / "syncs" if tracer else None)


def _register(admin: int, service: int) -> None:
    """Tell Restate where the service is; it says so when it knows it."""
    end = time.monotonic() + 30
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", admin, timeout=30)
        try:
            body = json.dumps({"uri": f"http://127.0.0.1:{service}/"})
            connection.request("POST", "/deployments", body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            content = answer.read()
            if answer.status in (200, 201):
                return
        except OSError as error:
            content = str(error).encode()
        finally:
            connection.close()
        if time.monotonic() > end:
            raise NotRun(f"does not know the service: {content[:200]!r}")
        time.sleep(0.2)


def _python(name: str) -> Path:
    """Of an environment of its own, with what ``engines/NAME.lock`` says."""
    lock = ENGINES / f"{name}.lock"
    place = INSTALLED / name
    python = place / "bin" / "python"

    def install() -> None:
        subprocess.run([sys.executable, "-m", "venv", "--clear", place], check=True, capture_output=True, timeout=120)
        command = [python, "-m", "pip", "install", "--quiet", "--no-deps", "--requirement", lock]
        subprocess.run(command, check=True, capture_output=True, timeout=600)

    _once(place, lock.read_bytes(), install)
    return python


def _npm(package: str) -> Path:
    """Where npm has put what a package brings for this machine."""
    lock = ENGINES / "package-lock.json"
    place = INSTALLED / "npm"

    def install() -> None:
        place.mkdir(parents=True, exist_ok=True)
        for name in ("package.json", "package-lock.json"):
            shutil.copy(ENGINES / name, place / name)
        command = ["npm", "ci", "--ignore-scripts", "--prefix", place, "--no-audit", "--no-fund"]
        subprocess.run(command, check=True, capture_output=True, timeout=600)

    _once(place, lock.read_bytes(), install)
    found = sorted((place / "node_modules").glob(f"{package}-linux-*"))
    if not found:
        raise NotRun(f"{package} has nothing for this machine")
    return found[0]


def _once(place: Path, lock: bytes, install: Callable[[], None]) -> None:
    """Unless it was installed by the same lock before."""
    mark, digest = place / "installed", hashlib.sha256(lock).hexdigest()
    if mark.exists() and mark.read_text() == digest:
        return
    print(f"{place.name}: installing", flush=True)
    try:
        install()
    except FileNotFoundError as error:
        raise NotRun(f"{error.filename} is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise NotRun(f"could not be installed within {error.timeout:g} s") from error
    except subprocess.CalledProcessError as error:
        said = (error.stderr or b"").decode(errors="replace").strip().splitlines()
        raise NotRun(f"could not be installed: {said[-1][:200] if said else error.returncode}") from error
    mark.write_text(digest)


STAGEDOOR = Engine("stagedoor", _stagedoor)
RESTATE_PYTHON = Engine("Restate, Python SDK", _restate, SLOW_S)
DBOS = Engine("DBOS, SQLite", lambda home, upstream, tracer: _dbos(home, upstream, tracer, "DELETE"), SLOW_S)
DBOS_WAL = Engine(
    "DBOS, SQLite with a WAL", lambda home, upstream, tracer: _dbos(home, upstream, tracer, "WAL"), SLOW_S
)
COMPARED = (STAGEDOOR, RESTATE_PYTHON, DBOS, DBOS_WAL)
