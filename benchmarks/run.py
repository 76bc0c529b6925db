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

import proxy
import workflow

README = Path(__file__).parent / "README.md"


def version(*command: str) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=30)
    except FileNotFoundError:
        return f"{command[0]}: not installed"
    return (done.stdout or done.stderr).strip().splitlines()[0]


def machine() -> str:
    model = re.search(r"model name\s*: (.+)", Path("/proc/cpuinfo").read_text())
    return (
        f"{date.today()}, {os.cpu_count()} cores ({model[1] if model else platform.machine()}), "
        f"Linux {platform.release()}, Python {platform.python_version()}; "
        f"{version('nginx', '-v')}; {version('haproxy', '-v')}"
    )


def write(section: str, text: str) -> None:
    begin, end = f"<!-- {section} -->", f"<!-- /{section} -->"
    old = README.read_text()
    before, rest = old.split(begin, 1)
    README.write_text(before + begin + "\n" + text + "\n" + end + rest.split(end, 1)[1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", nargs="*", default=["proxy", "workflow"], help="proxy, workflow; default both")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=5, help="of each round and peer")
    parser.add_argument("--dry", action="store_true", help="print the tables instead of writing them into README.md")
    options = parser.parse_args()
    missing = [tool for tool in ("nginx", "haproxy", "wrk", "taskset") if shutil.which(tool) is None]
    if missing:
        sys.exit(f"missing: {', '.join(missing)}; on Debian: apt-get install nginx-light haproxy wrk util-linux")
    measurements = {"proxy": proxy, "workflow": workflow}
    for what in options.what:
        with tempfile.TemporaryDirectory(prefix="stagedoor-bench-") as directory:
            measured = measurements[what].measure(Path(directory), options.rounds, options.seconds)
        text = f"{machine()}; {options.rounds} rounds of {options.seconds:g} s.\n\n{measurements[what].table(measured)}"
        print(text)
        if not options.dry:
            write(what, text)


if __name__ == "__main__":
    main()
