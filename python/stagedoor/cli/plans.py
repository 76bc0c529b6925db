"""``stagedoor plans put|list|delete``: what consumers may use, asked of a running gateway."""

from __future__ import annotations

import argparse
from typing import Any
from urllib.parse import quote

from stagedoor.cli.admin import admin_argument, find_admin
from stagedoor.cli.output import json_argument, say, say_json, say_table
from stagedoor.errors import StagedoorError
from stagedoor.policies.unit import Duration

NAME = "plans"
HELP = "create, replace, list and delete plans of a running gateway"
Json = Any


class WrongRate(StagedoorError):
    """An option that is no rate."""


def configure(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True, dest="verb")
    putting = verbs.add_parser("put", help="a new plan, or new limits of one")
    listing = verbs.add_parser("list", help="all, those of the configuration among them")
    deleting = verbs.add_parser("delete", help="one that no consumer has")
    for verb in (putting, deleting):
        verb.add_argument("name", metavar="NAME")
    putting.add_argument(
        "--rate",
        action="append",
        default=[],
        metavar="LIMIT/TIME",
        help="for example 100/1s; may be given several times",
    )
    for verb in (putting, listing, deleting):
        admin_argument(verb)
        json_argument(verb)


def run(arguments: argparse.Namespace) -> int:
    admin = find_admin(arguments.admin)
    if arguments.verb == "list":
        answer = admin.ask("GET", "/plans")
        shown = answer["plans"]
    else:
        path = f"/plans/{quote(arguments.name, safe='')}"
        if arguments.verb == "delete":
            answer, shown = admin.ask("DELETE", path), []
        else:
            answer = admin.ask("PUT", path, {"rate_limit": [_rate(text) for text in arguments.rate]})
            shown = [answer]
    if arguments.json:
        say_json(answer)
    elif answer is None:
        say(f"{arguments.name} is deleted")
    else:
        rows = ((each["name"], each["source"], ", ".join(map(_text, each.get("rate_limit", [])))) for each in shown)
        say_table(("name", "from", "rate limits"), rows)
    return 0


def _rate(text: str) -> Json:
    limit, slash, per = text.partition("/")
    if not (slash and limit.isascii() and limit.isdecimal()):
        raise WrongRate(f"--rate: '{text}' is not a number and a time, such as 100/1s")
    return {"limit": int(limit), "per": per}


def _text(rate: Json) -> str:
    return f"{rate['limit']}/{Duration(rate['per_ms'])}"
