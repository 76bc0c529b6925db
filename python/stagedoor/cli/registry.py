"""``stagedoor consumers backup|restore``: the registry as files, on the machine where it is."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import Any

from stagedoor.cli.output import fail, say
from stagedoor.cli.store import find_store, store_argument

VERBS = {
    "backup": "copy the registry while its gateway runs, and check the copy; the secret of its hashes goes to FILE.key",
    "restore": "put a copy and its secret in the place of a registry that is not there",
}
MARK = "registry_version"
"""A table that every registry has, and nothing else."""


def configure(verbs: Any) -> None:
    for name, text in VERBS.items():
        verb = verbs.add_parser(name, help=text, description=text)
        verb.add_argument("file", type=Path, metavar="FILE", help="the copy")
        store_argument(verb)


def run(arguments: argparse.Namespace) -> int:
    from stagedoor.engine import backup

    store = find_store(arguments.store)
    if store is None:
        return 1
    kept, copy = store.with_name(f"{store.name}.registry"), arguments.file
    source, target = (kept, copy) if arguments.verb == "backup" else (copy, kept)
    secret, place = (each.with_name(f"{each.name}.key") for each in (source, target))
    for each in (target, *(target.with_name(target.name + end) for end in ("-wal", "-shm")), place):
        if os.path.lexists(each):
            return fail(f"{each} is there already: name another file, or move it away first")
    if not source.is_file():
        return fail(f"there is no registry {source}")
    try:
        content = secret.read_bytes()
        # The secret first: a registry without it is good for nothing.
        with open(os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        return fail(f"the secret {secret} cannot be copied to {place}: {error.strerror}")
    try:
        backup.back_up(source, target, mark=MARK)
    except BaseException:
        place.unlink(missing_ok=True)
        raise
    say(f"{target} and {place}: checked" if arguments.verb == "backup" else f"{target} and {place} are in their place")
    return 0
