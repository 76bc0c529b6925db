"""``stagedoor executions VERB``: running and past workflows, seen and steered through the admin endpoint of a running
gateway."""

from __future__ import annotations

import argparse
from urllib.parse import quote

from stagedoor.cli import migrate, operator, purge, restart, search, store, timeline
from stagedoor.cli.admin import admin_argument, find_admin
from stagedoor.cli.output import json_argument, note, say, say_json

NAME = "executions"
HELP = "list and show running and past workflows, cancel one, decide on its incidents; back up and restore the store"


def configure(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True, dest="verb")
    listing = verbs.add_parser("list", help="the newest executions")
    search.configure(listing)
    showing = verbs.add_parser("show", help="one execution: what was called, what failed, what was undone, and when")
    showing.add_argument("id", metavar="ID")
    keeping = verbs.add_parser("history", help="all of its events as JSON, for 'stagedoor replay' and 'workflow graph'")
    keeping.add_argument("id", metavar="ID")
    operator.configure(verbs)
    migrate.configure(verbs)
    restart.configure(verbs)
    store.configure(verbs)
    purge.configure(verbs)
    for verb in (listing, showing, keeping):
        admin_argument(verb)
    for verb in (listing, showing):
        json_argument(verb)


def run(arguments: argparse.Namespace) -> int:
    if arguments.verb in store.VERBS:
        return store.run(arguments)
    admin = find_admin(arguments.admin)
    if arguments.verb in operator.VERBS:
        return operator.run(arguments, admin)
    if arguments.verb == "migrate":
        return migrate.run(arguments, admin)
    if arguments.verb == "restart":
        return restart.run(arguments, admin)
    if arguments.verb == purge.VERB:
        return purge.run(arguments, admin)
    if arguments.verb == "history":
        history = admin.ask("GET", f"/executions/{quote(arguments.id, safe='')}/history")
        say_json(history)
        if "snapshot" in history:
            note(
                f"it begins at a snapshot, after event {history['snapshot']['seq'] + 1}: what came before was compacted"
            )
        return 0
    if arguments.verb == "show":
        shown = admin.ask("GET", f"/executions/{quote(arguments.id, safe='')}")
        if arguments.json:
            say_json(shown)
        else:
            for line in timeline.lines(shown):
                say(line)
        return 0
    return search.run(arguments, admin)
