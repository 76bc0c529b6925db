"""``stagedoor executions purge``: executions that have ended, removed before their time."""

from __future__ import annotations

import argparse
from typing import Any

from stagedoor.cli.admin import Admin, admin_argument
from stagedoor.cli.output import fail, say
from stagedoor.cli.search import moment

VERB = "purge"


def configure(verbs: Any) -> None:
    text = "remove executions that have ended, with all that is kept of them"
    verb = verbs.add_parser(VERB, help=text, description=text)
    verb.add_argument("--workflow", metavar="NAMESPACE/NAME", help="only of this workflow")
    verb.add_argument("--status", choices=("completed", "faulted", "cancelled"), help="only those that ended so")
    verb.add_argument(
        "--before",
        metavar="TIME",
        help="only those that ended before this time: 2027-01-31T00:00:00Z, or so long ago: 36h, 7d, PT5M",
    )
    verb.add_argument("--dry-run", action="store_true", help="say how many there are, and remove none")
    admin_argument(verb)


def run(arguments: argparse.Namespace, admin: Admin) -> int:
    asked = {"workflow": arguments.workflow, "status": arguments.status}
    if arguments.before is not None:
        asked["before"] = moment("before", arguments.before)
    body: dict[str, Any] = {name: value for name, value in asked.items() if value is not None}
    if not body:
        return fail("say which executions: --workflow, --status or --before")
    count = admin.ask("POST", "/executions/purge", body | {"dryRun": arguments.dry_run})["executions"]
    say(f"{count} executions would be removed" if arguments.dry_run else f"{count} executions are being removed")
    return 0
