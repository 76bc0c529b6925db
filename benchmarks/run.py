"""`make bench`: measure, and write the tables between the markers of README.md. Loopback only, bounded in time."""

from __future__ import annotations

import argparse
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from datetime import date
from pathlib import Path
from types import ModuleType

from benchmarks import (
    aggregate,
    bodies,
    cache,
    cache_collapsed,
    cache_disk,
    cache_memory,
    cache_stale,
    finished,
    http2,
    idle,
    latency,
    local,
    policies,
    proxy,
    scaling,
    slow,
    tls,
    transcoding,
    waiting,
    workflow,
)
from benchmarks.peer import ENVOY
from benchmarks.process import OTHER_CORE
from benchmarks.row import NotRun

README = Path(__file__).parent / "README.md"
MEASURED = (
    *(proxy, latency, http2, tls, bodies, scaling, idle, slow, policies, aggregate),
    *(cache, cache_collapsed, cache_stale, cache_disk, cache_memory),
    *(transcoding, workflow, local, waiting, finished),
)
SUBJECTS: dict[str, ModuleType] = {subject.__name__.rpartition(".")[2]: subject for subject in MEASURED}
TOOLS = ("nginx", "haproxy", "wrk", "h2load", "openssl", "rustc", "taskset")


def version(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    except FileNotFoundError:
        return f"{Path(command[0]).name}: not installed"
    return (done.stdout or done.stderr).strip().splitlines()[0]


def machine() -> str:
    model = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    envoy = re.search(r"/([\d.]+)/", version(ENVOY[0], "--version"))
    return (
        f"{date.today()}, {os.cpu_count()} cores ({model[1] if model else platform.machine()}), "
        f"Linux {platform.release()}, Python {platform.python_version()}; {version('nginx', '-v')}; "
        f"{version('haproxy', '-v').split(' - ')[0]}; Envoy {envoy[1] if envoy else 'not installed'}"
    )


def write(section: str, text: str) -> None:
    begin, end = f"<!-- {section} -->", f"<!-- /{section} -->"
    old = README.read_text()
    if begin not in old:
        print(f"{README.name} has no place for it: {begin}", file=sys.stderr)
        return
    before, rest = old.split(begin, 1)
    README.write_text(before + begin + "\n" + text + "\n" + end + rest.split(end, 1)[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="*", metavar="SUBJECT", help=f"{', '.join(SUBJECTS)}; default all")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=5, help="of each round and peer")
    parser.add_argument("--scale", type=float, default=1.0, help="of the numbers of executions in waiting and finished")
    parser.add_argument("--dry", action="store_true", help="print the tables instead of writing them into README.md")
    options = parser.parse_args()
    waiting.scale = finished.scale = options.scale
    unknown = [what for what in options.what if what not in SUBJECTS]
    if unknown:
        parser.error(f"no such subject: {', '.join(unknown)}; there are {', '.join(SUBJECTS)}")
    missing = [name for name in TOOLS if shutil.which(name) is None]
    if missing:
        packages = "nginx-light haproxy wrk nghttp2-client openssl rustc util-linux"
        sys.exit(f"missing: {', '.join(missing)}; on Debian: apt-get install {packages}")
    # What this process itself does (slow and idle clients) is load, and no business of the proxy's core.
    os.sched_setaffinity(0, {int(OTHER_CORE)})
    failed = []
    for what in options.what or SUBJECTS:
        with tempfile.TemporaryDirectory(prefix="stagedoor-bench-") as directory:
            # nginx's workers are not root where its master is, and keep their temporary files in it.
            os.chmod(directory, 0o755)
            try:
                measured = SUBJECTS[what].measure(Path(directory), options.rounds, options.seconds)
            except NotRun as error:
                failed.append(f"{what}: {error}")
                continue
        found = SUBJECTS[what].table(measured)
        text = f"{machine()}; {options.rounds} rounds of {options.seconds:g} s.\n\n{found}"
        print(text)
        if not options.dry:
            write(what, text)
    if failed:
        sys.exit("\n".join(failed))


if __name__ == "__main__":
    main()
