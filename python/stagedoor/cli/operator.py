"""``stagedoor executions cancel|suspend|resume|retry|edit|skip|done``: an operator's word, with a name and a
reason that the history keeps."""

from __future__ import annotations

import argparse
import getpass
from typing import Any
from urllib.parse import quote

from stagedoor.cli.admin import Admin, admin_argument
from stagedoor.cli.json_value import json_value
from stagedoor.cli.output import fail, say
from stagedoor.errors import StagedoorError

VERBS = {
    "cancel": "stop an execution and undo what it did",
    "suspend": "begin no further task of an execution until it is resumed",
    "resume": "let an execution go on",
    "retry": "try an undo again that failed",
    "edit": "try it again with other arguments",
    "skip": "leave it undone and go on",
    "done": "it was undone by other means: go on",
}
WHOLE = {"cancel": "cancelled", "suspend": "suspended", "resume": "resumed"}
"""Verbs about the whole execution, and what it is by them."""
Json = Any


class Nobody(StagedoorError):
    """It is not known who says so."""


def configure(verbs: Any) -> None:
    for name, text in VERBS.items():
        verb = verbs.add_parser(name, help=text, description=text)
        verb.add_argument("id", metavar="ID")
        verb.add_argument("--reason", required=True, metavar="TEXT", help="kept in the history")
        verb.add_argument("--by", metavar="NAME", help="who says so (default: the name you are logged in with)")
        if name not in WHOLE:
            verb.add_argument("--incident", metavar="INCIDENT", help="where more than one is open")
        if name == "edit":
            verb.add_argument("--arguments", required=True, metavar="JSON", help="instead of those shown, or @FILE")
        admin_argument(verb)


def run(arguments: argparse.Namespace, admin: Admin) -> int:
    words = word(arguments, arguments.reason)
    path = f"/executions/{quote(arguments.id, safe='')}"
    if arguments.verb in WHOLE:
        admin.ask("POST", f"{path}/{arguments.verb}", words)
        say(f"{arguments.id} is being {WHOLE[arguments.verb]}")
        return 0
    open_ones = [each for each in admin.ask("GET", path)["incidents"] if each["resolved"] is None]
    if arguments.incident is not None:
        open_ones = [each for each in open_ones if each["id"] == arguments.incident] or [{"id": arguments.incident}]
    if len(open_ones) != 1:
        which = "has no open incident" if not open_ones else "has several: choose one with --incident"
        where = [f"{each['id']} of {each['execution']}" if "execution" in each else each["id"] for each in open_ones]
        return fail("\n  ".join([f"{arguments.id} {which}", *where]))
    incident = open_ones[0]["id"]
    # It may be one of a workflow that this one runs.
    path = f"/executions/{quote(open_ones[0].get('execution', arguments.id), safe='')}"
    words |= {"action": arguments.verb}
    if arguments.verb == "edit":
        words |= {"arguments": json_value("--arguments", arguments.arguments)}
    admin.ask("POST", f"{path}/incidents/{quote(incident, safe='/')}", words)
    say(f"{incident}: {arguments.verb}")
    return 0


def word(arguments: argparse.Namespace, reason: str) -> dict[str, Json]:
    """Why, and who says so. Raises ``Nobody``."""
    return {"reason": reason, "by": arguments.by or _name()}


def _name() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        raise Nobody("who you are is not known here: say it with --by") from None
