"""``stagedoor executions VERB``: running and past workflows, seen and steered through the admin endpoint of a running
gateway."""

from __future__ import annotations

import argparse
from urllib.parse import quote, urlencode

from stagedoor.cli import operator, timeline
from stagedoor.cli.admin import admin_argument, find_admin
from stagedoor.cli.output import json_argument, say, say_json, say_table

NAME = "executions"
HELP = "list and show running and past workflows, cancel one, decide on its incidents"


def configure(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True, dest="verb")
    listing = verbs.add_parser("list", help="the newest executions")
    listing.add_argument("--workflow", metavar="NAMESPACE/NAME", help="only of this workflow")
    listing.add_argument("--status", choices=("running", "suspended", "completed", "faulted", "cancelled"))
    listing.add_argument("--limit", type=int, default=50, metavar="N", help="1 to 500 (default: 50)")
    listing.add_argument("--before", metavar="ID", help="those older than this one")
    showing = verbs.add_parser("show", help="one execution: what was called, what failed, what was undone, and when")
    showing.add_argument("id", metavar="ID")
    keeping = verbs.add_parser("history", help="all of its events as JSON, for 'stagedoor replay' and 'workflow graph'")
    keeping.add_argument("id", metavar="ID")
    operator.configure(verbs)
    for verb in (listing, showing, keeping):
        admin_argument(verb)
    for verb in (listing, showing):
        json_argument(verb)


def run(arguments: argparse.Namespace) -> int:
    admin = find_admin(arguments.admin)
    if arguments.verb in operator.VERBS:
        return operator.run(arguments, admin)
    if arguments.verb == "history":
        say_json(admin.ask("GET", f"/executions/{quote(arguments.id, safe='')}/history"))
        return 0
    if arguments.verb == "show":
        shown = admin.ask("GET", f"/executions/{quote(arguments.id, safe='')}")
        if arguments.json:
            say_json(shown)
        else:
            for line in timeline.lines(shown):
                say(line)
        return 0
    asked = {name: getattr(arguments, name) for name in ("workflow", "status", "limit", "before")}
    page = admin.ask("GET", "/executions?" + urlencode({name: value for name, value in asked.items() if value}))
    if arguments.json:
        say_json(page)
        return 0
    columns = ("id", "workflow", "version", "status", "created", "updated", "consumer")
    say_table(columns, ([str(each[column] or "") for column in columns] for each in page["executions"]))
    if page["next"]:
        say(f"older ones: --before {page['next']}")
    return 0
