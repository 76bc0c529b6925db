"""``stagedoor keys create|list|rotate|revoke``: API keys of consumers, asked of a running gateway."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from stagedoor.cli.admin import admin_argument, find_admin
from stagedoor.cli.output import json_argument, say, say_json, say_table
from stagedoor.errors import StagedoorError
from stagedoor.policies.unit import Duration

NAME = "keys"
HELP = "create, list, rotate and revoke API keys of a running gateway"
Json = Any


class WrongTime(StagedoorError):
    """An option that is neither a time nor a duration."""


def configure(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True, dest="verb")
    creating = verbs.add_parser("create", help="a new key; it is shown this once")
    listing = verbs.add_parser("list", help="the keys of a consumer")
    rotating = verbs.add_parser("rotate", help="a new key with the rights of another, which stays good for a while")
    revoking = verbs.add_parser("revoke", help="refuse a key from now on")
    for verb in (creating, listing, rotating, revoking):
        verb.add_argument("consumer", metavar="CONSUMER")
    for verb in (rotating, revoking):
        verb.add_argument("id", metavar="ID")
    rights_arguments(creating)
    overlap_argument(rotating)
    for verb in (creating, listing, rotating, revoking):
        admin_argument(verb)
        json_argument(verb)


def rights_arguments(parser: argparse.ArgumentParser) -> None:
    """How long, where and for what a new credential is good."""
    parser.add_argument("--description", default="", metavar="TEXT")
    parser.add_argument("--scope", action="append", default=[], metavar="SCOPE", help="may be given several times")
    parser.add_argument("--expires", metavar="WHEN", help="a time (2027-01-31T00:00:00Z), or from now (90d)")
    parser.add_argument("--route", action="append", metavar="NAME", help="the only routes on which it is good")
    parser.add_argument("--network", action="append", metavar="CIDR", help="the only addresses from which it is good")


def rights(arguments: argparse.Namespace) -> Json:
    parts = {"description": arguments.description, "scopes": arguments.scope, "routes": arguments.route}
    parts |= {"networks": arguments.network, "expires": arguments.expires and _when(arguments.expires)}
    return {name: part for name, part in parts.items() if part}


def overlap_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--overlap", default="1d", metavar="TIME", help="how long the old one stays good (default: 1d)")


def run(arguments: argparse.Namespace) -> int:
    admin = find_admin(arguments.admin)
    consumer = f"/consumers/{quote(arguments.consumer, safe='')}"
    match arguments.verb:
        case "list":
            keys = admin.ask("GET", consumer).get("api_keys", [])
            if arguments.json:
                say_json({"keys": keys})
            else:
                say_keys(keys)
            return 0
        case "create":
            answer = admin.ask("POST", f"{consumer}/keys", rights(arguments))
        case "rotate":
            path = f"{consumer}/keys/{quote(arguments.id)}/rotate"
            answer = admin.ask("POST", path, {"overlap": arguments.overlap})
        case _:
            answer = admin.ask("DELETE", f"{consumer}/keys/{quote(arguments.id)}")
    if arguments.json:
        say_json(answer)
    elif answer is None:
        say(f"{arguments.id} is revoked")
    else:
        say_keys([answer])
        say("")
        say("The key, which is not shown again:")
        say(answer["key"])
    return 0


def say_keys(keys: Iterable[Json]) -> None:
    columns = ("id", "description", "scopes", "expires", "routes", "networks", "last used")
    rows = (
        (
            each["id"],
            each["description"],
            " ".join(each["scopes"]),
            time_text(each["expires"]),
            "all" if each["routes"] is None else " ".join(each["routes"]),
            "all" if each["networks"] is None else " ".join(each["networks"]),
            time_text(each.get("last_used")),
        )
        for each in keys
    )
    say_table(columns, rows)


def time_text(seconds: int | None) -> str:
    return "" if seconds is None else datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def _when(text: str) -> str:
    if "T" in text:
        return text
    try:
        return time_text(int(time.time()) + int(Duration.parse(text)) // 1000)
    except ValueError:
        raise WrongTime(
            f"--expires: '{text}' is neither a time such as 2027-01-31T00:00:00Z nor one such as 90d"
        ) from None
