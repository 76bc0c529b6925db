"""Runs a program within limits that it cannot lift: ``python -I -S confine.py LIMITS PROGRAM ARGUMENT…``

``LIMITS`` is JSON: ``{"cpu_s", "memory", "reserves", "output", "processes"}``; sizes in bytes. ``reserves``: the
program sets much more address space aside than it uses, so that only what it can write to counts. Uses the standard
library alone.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import signal
import sys

DIE_WITH_PARENT = 1
"""prctl(2): PR_SET_PDEATHSIG."""
FILES = 256
"""Open at once."""


def main() -> None:
    limits = json.loads(sys.argv[1])
    ctypes.CDLL(None).prctl(DIE_WITH_PARENT, signal.SIGKILL)
    for what, most in (
        (resource.RLIMIT_CPU, limits["cpu_s"]),
        (resource.RLIMIT_DATA if limits["reserves"] else resource.RLIMIT_AS, limits["memory"]),
        (resource.RLIMIT_FSIZE, limits["output"]),
        (resource.RLIMIT_NPROC, limits["processes"] + _running()),
        (resource.RLIMIT_NOFILE, FILES),
        (resource.RLIMIT_CORE, 0),
    ):
        _, hard = resource.getrlimit(what)
        most = most if hard == resource.RLIM_INFINITY else min(most, hard)
        resource.setrlimit(what, (most, most))
    try:
        os.execv(sys.argv[2], sys.argv[2:])
    except OSError as error:
        sys.stderr.write(f"{sys.argv[2]}: {error.strerror}\n")
        sys.exit(127)


def _running() -> int:
    """Processes and threads of this user: the limit counts them all."""
    count = 0
    for entry in os.scandir("/proc"):
        # Whoever ends meanwhile is not counted.
        with contextlib.suppress(OSError):
            if entry.name.isdigit() and entry.stat().st_uid == os.getuid():
                count += len(os.listdir(f"/proc/{entry.name}/task"))
    return count


if __name__ == "__main__":
    main()
