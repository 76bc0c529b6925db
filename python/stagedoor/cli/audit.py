"""``stagedoor audit``: who changed what, asked of a running gateway."""

from __future__ import annotations

import argparse
import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from stagedoor.cli.admin import admin_argument, find_admin
from stagedoor.cli.output import json_argument, say, say_json, say_table

NAME = "audit"
HELP = "show who changed which consumers, keys and plans of a running gateway"
Json = Any


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--limit", type=int, default=50, metavar="N", help="1 to 1000 (default: 50)")
    parser.add_argument("--before", metavar="ID", help="those older than this one")
    admin_argument(parser)
    json_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    asked = {name: getattr(arguments, name) for name in ("limit", "before")}
    asked = {name: value for name, value in asked.items() if value is not None}
    page = find_admin(arguments.admin).ask("GET", "/audit?" + urlencode(asked))
    if arguments.json:
        say_json(page)
        return 0
    say_table(("id", "when", "who", "what", "of", "before", "after"), (_row(each) for each in page["audit"]))
    if page["next"]:
        say(f"older ones: --before {page['next']}")
    return 0


def _row(line: Json) -> tuple[str, ...]:
    """What is the same before and after is left out."""
    before, after = line["before"] or {}, line["after"] or {}
    when = datetime.fromtimestamp(line["at"], UTC).isoformat().replace("+00:00", "Z")
    told = (
        json.dumps({name: value for name, value in side.items() if value != other.get(name)}) if side else ""
        for side, other in ((before, after), (after, before))
    )
    return (str(line["id"]), when, line["who"], line["action"], line["subject"], *told)
