"""``stagedoor executions backup|restore|vacuum``: the store as a file, on the machine where it is."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from stagedoor.cli.output import DEFAULT_FILE, fail, say, tell
from stagedoor.config import check

VERBS = {
    "backup": "copy the store while its gateway runs, and check the copy",
    "restore": "put a copy in the place of a store that is not there",
    "vacuum": "give back what is free in the file of a store; its gateway must not run",
}


def configure(verbs: Any) -> None:
    for name, text in VERBS.items():
        verb = verbs.add_parser(name, help=text, description=text)
        if name != "vacuum":
            verb.add_argument("file", type=Path, metavar="FILE", help="the copy")
        store_argument(verb)


def store_argument(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--store", type=Path, metavar="PATH", help=f"the store's file (default: engine.store of {DEFAULT_FILE})"
    )


def find_store(given: Path | None) -> Path | None:
    """None: it is not known, and that is told."""
    if given is not None:
        return given
    if not Path(DEFAULT_FILE).exists():
        fail(f"there is no {DEFAULT_FILE} here: name the store's file with --store")
        return None
    report = check(DEFAULT_FILE)
    if report.configuration is None:
        tell(report.problems)
        return None
    return report.configuration.store


def run(arguments: argparse.Namespace) -> int:
    from stagedoor.engine import backup

    store = find_store(arguments.store)
    if store is None:
        return 1
    if arguments.verb == "backup":
        backup.back_up(store, arguments.file, _tell if sys.stderr.isatty() else None)
        say(f"{arguments.file}: {arguments.file.stat().st_size} bytes, checked")
    elif arguments.verb == "restore":
        backup.restore(arguments.file, store, _tell if sys.stderr.isatty() else None)
        say(f"{store} is in its place")
    else:
        before, after = backup.vacuum(store)
        say(f"{store}: {before} bytes, now {after}")
    return 0


def _tell(left: int, whole: int) -> None:
    sys.stderr.write(f"\r{100 * (whole - left) // max(whole, 1)}%" + ("" if left else "\n"))
    sys.stderr.flush()
