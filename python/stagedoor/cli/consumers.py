"""``stagedoor consumers create|list|show|update|delete``: who may call, asked of a running gateway; and its files."""

from __future__ import annotations

import argparse
from typing import Any
from urllib.parse import quote, urlencode

from stagedoor.cli import registry
from stagedoor.cli.admin import admin_argument, find_admin
from stagedoor.cli.credentials import say_credentials
from stagedoor.cli.keys import say_keys
from stagedoor.cli.output import json_argument, say, say_json, say_table

NAME = "consumers"
HELP = "create, list, show, change and delete consumers of a running gateway; back up and restore their registry"
PAGE = 1000
Json = Any


def configure(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True, dest="verb")
    creating = verbs.add_parser("create", help="a new consumer, without credentials yet")
    listing = verbs.add_parser("list", help="all, those of the configuration among them")
    showing = verbs.add_parser("show", help="one, with its keys and other credentials")
    updating = verbs.add_parser("update", help="change its groups or plan, disable or enable it")
    deleting = verbs.add_parser("delete", help="one, with all its credentials")
    for verb in (creating, showing, updating, deleting):
        verb.add_argument("name", metavar="NAME")
    for verb in (creating, updating):
        verb.add_argument("--group", action="append", metavar="NAME", help="may be given several times")
        verb.add_argument("--plan", metavar="NAME")
        verb.add_argument("--pin", action="append", metavar="API=VERSION", type=_pin, help="may be given several times")
    updating.add_argument("--no-groups", action="store_true", help="take all groups away")
    updating.add_argument("--no-plan", action="store_true", help="take the plan away")
    updating.add_argument("--no-pins", action="store_true", help="pin it to no version")
    switch = updating.add_mutually_exclusive_group()
    switch.add_argument("--disable", action="store_true", help="refuse its credentials")
    switch.add_argument("--enable", action="store_true", help="take them again")
    for verb in (creating, listing, showing, updating, deleting):
        admin_argument(verb)
        json_argument(verb)
    registry.configure(verbs)


def run(arguments: argparse.Namespace) -> int:
    if arguments.verb in registry.VERBS:
        return registry.run(arguments)
    admin = find_admin(arguments.admin)
    if arguments.verb == "list":
        consumers: list[Json] = []
        after: str | None = ""
        while after is not None:
            page = admin.ask("GET", "/consumers?" + urlencode({"limit": PAGE} | ({"after": after} if after else {})))
            consumers += page["consumers"]
            after = page["next"]
        if arguments.json:
            say_json({"consumers": consumers})
        else:
            _say(consumers)
        return 0
    others: list[Json] = []
    path = f"/consumers/{quote(arguments.name, safe='')}"
    match arguments.verb:
        case "create":
            answer = admin.ask("POST", "/consumers", {"name": arguments.name} | _given(arguments))
        case "update":
            answer = admin.ask("PATCH", path, _given(arguments))
        case "delete":
            answer = admin.ask("DELETE", path)
        case _:
            answer = admin.ask("GET", path)
            if answer["source"] == "registry":
                others = admin.ask("GET", f"{path}/credentials")["credentials"]
    if arguments.json:
        say_json(answer | {"credentials": others} if others else answer)
    elif answer is None:
        say(f"{arguments.name} is deleted")
    else:
        _say([answer])
        if answer.get("api_keys"):
            say("")
            say_keys(answer["api_keys"])
        if others:
            say("")
            say_credentials(others)
    return 0


def _pin(text: str) -> tuple[str, str]:
    api, equals, version = text.partition("=")
    if not (api and equals and version):
        raise argparse.ArgumentTypeError("a pin is written API=VERSION")
    return api, version


def _given(arguments: argparse.Namespace) -> Json:
    given: Json = {}
    if arguments.group is not None:
        given["groups"] = arguments.group
    if arguments.plan is not None:
        given["plan"] = arguments.plan
    if arguments.pin is not None:
        given["versions"] = dict(arguments.pin)
    if arguments.verb == "update":
        given |= {"versions": {}} if arguments.no_pins else {}
        given |= {"groups": []} if arguments.no_groups else {}
        given |= {"plan": None} if arguments.no_plan else {}
        given |= {"disabled": arguments.disable} if arguments.disable or arguments.enable else {}
    return given


def _say(consumers: list[Json]) -> None:
    rows = (
        (
            each["name"],
            each["source"],
            ", ".join(each["groups"]),
            each["plan"] or "",
            ", ".join(f"{api} {version}" for api, version in each["versions"].items()),
            str(each["keys"]),
            str(each["credentials"]),
            "disabled" if each.get("disabled") else "",
        )
        for each in consumers
    )
    say_table(("name", "from", "groups", "plan", "pinned to", "keys", "credentials", ""), rows)
