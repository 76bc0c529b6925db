"""``stagedoor executions restart``: an execution that has ended is begun anew, as another one."""

from __future__ import annotations

import argparse
from typing import Any
from urllib.parse import quote

from stagedoor.cli.admin import Admin, admin_argument
from stagedoor.cli.json_value import json_value
from stagedoor.cli.operator import word
from stagedoor.cli.output import json_argument, say, say_json

HELP = "begin an execution that has ended anew, as another one: from its start, or from a task of it"
Json = Any


def configure(verbs: Any) -> None:
    verb = verbs.add_parser("restart", help=HELP, description=HELP)
    verb.add_argument("id", metavar="ID", help="the one that has ended")
    verb.add_argument(
        "--from",
        dest="task",
        metavar="TASK",
        help="its name, or its reference such as /do/2/charge; default: the start",
    )
    verb.add_argument("--input", metavar="JSON", help="what goes into the task, or into the workflow; or @FILE")
    verb.add_argument("--context", metavar="JSON", help="$context of the task and of those that follow; or @FILE")
    verb.add_argument(
        "--version", metavar="VERSION", help="by another version of the workflow, which leads to the task"
    )
    verb.add_argument(
        "--take-undos", action="store_true", help="undo what was done before the task, too, if the new one fails"
    )
    verb.add_argument("--dry-run", action="store_true", help="say what would become of it, and begin nothing")
    verb.add_argument("--reason", required=True, metavar="TEXT", help="kept in the history")
    verb.add_argument("--by", metavar="NAME", help="who says so (default: the name you are logged in with)")
    json_argument(verb)
    admin_argument(verb)


def run(arguments: argparse.Namespace, admin: Admin) -> int:
    asked = word(arguments, arguments.reason)
    asked |= {"takeUndos": arguments.take_undos, "dryRun": arguments.dry_run}
    if arguments.task is not None:
        asked["from"] = arguments.task
    if arguments.version is not None:
        asked["version"] = arguments.version
    for name in ("input", "context"):
        if (text := getattr(arguments, name)) is not None:
            asked[name] = json_value(f"--{name}", text)
    told = admin.ask("POST", f"/executions/{quote(arguments.id, safe='')}/restart", asked)
    if arguments.json:
        say_json(told)
        return 0
    place = "its start" if told["task"] is None else f"{told['task']}, behind event {told['event']}"
    if told["status"] == "possible":
        say(f"{told['origin']} can be restarted from {place}, by version {told['version']}")
    else:
        say(f"{told['execution']} is {told['origin']} restarted from {place}")
    for task in told["undos"]:
        say(f"  if it fails, what {task} did is undone")
    return 0
