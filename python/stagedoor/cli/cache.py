"""``stagedoor cache status|purge``: what the cache of a running gateway holds, and what it is to forget."""

from __future__ import annotations

import argparse

from stagedoor.cli.admin import admin_argument, find_admin
from stagedoor.cli.output import json_argument, say, say_json, say_table

NAME = "cache"
HELP = "show and purge the cache of a running gateway"


COLUMNS = {"responses": "entries", "bytes": "bytes", "limit": "limit", "evicted": "evicted"}
"""As they are called in the answer."""


def _row(level: dict[str, int], name: str, prefix: str) -> tuple[str, ...]:
    return (name, *(str(level[prefix + column]) for column in COLUMNS.values()))


def _disk(level: dict[str, int]) -> list[tuple[str, ...]]:
    if not level["disk_limit"]:
        return []
    return [_row(level, "disk" if level["disk_up"] else "disk (cannot be used)", "disk_")]


def configure(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True, dest="verb")
    status = verbs.add_parser("status", help="how many responses there are, and how many bytes they take")
    purge = verbs.add_parser("purge", help="forget stored responses")
    ways = purge.add_mutually_exclusive_group(required=True)
    ways.add_argument("--url", metavar="URL", help="those of this URL, every variant")
    ways.add_argument("--prefix", metavar="URL", help="those whose URLs begin so")
    ways.add_argument("--group", metavar="NAME", help="those that belong to this group")
    ways.add_argument("--all", action="store_true", help="all")
    purge.add_argument("--soft", action="store_true", help="they are stale, and serve where stale ones may")
    for verb in (status, purge):
        admin_argument(verb)
        json_argument(verb)


def run(arguments: argparse.Namespace) -> int:
    admin = find_admin(arguments.admin)
    if arguments.verb == "status":
        level = admin.ask("GET", "/cache")
        if arguments.json:
            say_json(level)
        else:
            say_table(("", *COLUMNS), [_row(level, "memory", ""), *_disk(level)])
        return 0
    ways = {way: value for way in ("url", "prefix", "group", "all") if (value := getattr(arguments, way))}
    answer = admin.ask("POST", "/cache/purge", ways | ({"soft": True} if arguments.soft else {}))
    if arguments.json:
        say_json(answer)
    else:
        say(f"{answer['purged']} responses")
    return 0
