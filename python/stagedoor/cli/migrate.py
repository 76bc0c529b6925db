"""``stagedoor executions migrate``: executions that have not ended go on by another version of their workflow."""

from __future__ import annotations

import argparse
from typing import Any
from urllib.parse import quote

from stagedoor.cli import search
from stagedoor.cli.admin import Admin, AdminRefused, admin_argument
from stagedoor.cli.operator import word
from stagedoor.cli.output import fail, json_argument, say, say_json

HELP = "let executions that have not ended go on by another version, if that leads to where they stand"
Json = Any


def configure(verbs: Any) -> None:
    verb = verbs.add_parser("migrate", help=HELP, description=HELP)
    verb.add_argument("id", metavar="ID", nargs="?", help="one execution; or name them by --workflow and --from")
    verb.add_argument("--workflow", metavar="NAMESPACE/NAME", help="all of this workflow that have not ended")
    verb.add_argument("--from", dest="version", metavar="VERSION", help="of those, the ones of this version")
    verb.add_argument("--to", required=True, metavar="VERSION", help="a version that the store knows, or 'latest'")
    verb.add_argument("--dry-run", action="store_true", help="say what would become of each, and change nothing")
    verb.add_argument("--partly", action="store_true", help="migrate those that can be, also where others cannot")
    verb.add_argument("--reason", metavar="TEXT", help="kept in the history; needed without --dry-run")
    verb.add_argument("--by", metavar="NAME", help="who says so (default: the name you are logged in with)")
    json_argument(verb)
    admin_argument(verb)


def run(arguments: argparse.Namespace, admin: Admin) -> int:
    """All are tried first. Nothing is changed where one of them cannot be, unless ``--partly`` says so."""
    chosen = (arguments.workflow is None) is not (arguments.version is None)
    if chosen or (arguments.id is None) is (arguments.workflow is None):
        return fail("say which: ID, or --workflow and --from")
    if arguments.reason is None and not arguments.dry_run:
        return fail("--reason is needed, or --dry-run")
    words = word(arguments, arguments.reason or "dry run") | {"to": arguments.to}
    ids = [arguments.id] if arguments.id is not None else _ids(admin, arguments.workflow, arguments.version)
    told = [_ask(admin, id, words | {"dryRun": True}) for id in ids]
    possible = [each["execution"] for each in told if each["status"] == "possible"]
    tried = arguments.dry_run or not (arguments.partly or len(possible) == len(ids))
    if not tried:
        done = {id: _ask(admin, id, words) for id in possible}
        told = [done.get(each["execution"], each) for each in told]
    refused = sum(each["status"] == "refused" for each in told)
    if arguments.json:
        say_json({"executions": told})
        return int(refused > 0)
    for each in told:
        detail = f": {each['detail']}" if "detail" in each else ""
        say(f"{each['execution']} {each['status']}{detail}")
    say(f"{len(told) - refused} of {len(told)} executions {'can be' if tried else 'were'} migrated")
    if tried and not arguments.dry_run:
        say("none was: --partly migrates those that can be")
    return int(refused > 0)


def _ids(admin: Admin, workflow: str, version: str) -> list[str]:
    return [each["id"] for each in search.every(admin, workflow=workflow, version=version, status="open")]


def _ask(admin: Admin, id: str, body: Json) -> Json:
    try:
        return admin.ask("POST", f"/executions/{quote(id, safe='')}/migrate", body)
    except AdminRefused as refused:
        if refused.status not in (404, 409):
            raise
        return {"execution": id, "status": "refused", "detail": refused.detail}
