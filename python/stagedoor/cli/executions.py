"""``stagedoor executions list|show``: running and past workflows, asked of the admin endpoint of a running gateway."""

from __future__ import annotations

import argparse
import http.client
import json
import os
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from stagedoor.cli import timeline
from stagedoor.cli.output import DEFAULT_FILE, json_argument, say, say_json, say_table
from stagedoor.errors import StagedoorError

NAME = "executions"
HELP = "list running and past workflows, or show what one of them did"
DEFAULT_ADMIN = "http://127.0.0.1:9901"
TOKEN_VARIABLE = "STAGEDOOR_ADMIN_TOKEN"
TIMEOUT_S = 10
Json = Any


class AdminUnavailable(StagedoorError):
    """The admin endpoint gave no answer that can be used."""


def configure(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True, dest="verb")
    listing = verbs.add_parser("list", help="the newest executions")
    listing.add_argument("--workflow", metavar="NAMESPACE/NAME", help="only of this workflow")
    listing.add_argument("--status", choices=("running", "suspended", "completed", "faulted", "cancelled"))
    listing.add_argument("--limit", type=int, default=50, metavar="N", help="1 to 500 (default: 50)")
    listing.add_argument("--before", metavar="ID", help="those older than this one")
    showing = verbs.add_parser("show", help="one execution: what was called, what failed, what was undone, and when")
    showing.add_argument("id", metavar="ID")
    for verb in (listing, showing):
        verb.add_argument(
            "--admin",
            metavar="URL",
            help=f"the admin endpoint (default: that of {DEFAULT_FILE} if it is there, else {DEFAULT_ADMIN})",
        )
        json_argument(verb)


def run(arguments: argparse.Namespace) -> int:
    url, token = _admin(arguments.admin)
    if arguments.verb == "show":
        shown = _get(url, token, f"/executions/{quote(arguments.id, safe='')}")
        if arguments.json:
            say_json(shown)
        else:
            for line in timeline.lines(shown):
                say(line)
        return 0
    asked = {name: getattr(arguments, name) for name in ("workflow", "status", "limit", "before")}
    page = _get(url, token, "/executions?" + urlencode({name: value for name, value in asked.items() if value}))
    if arguments.json:
        say_json(page)
        return 0
    columns = ("id", "workflow", "version", "status", "created", "updated", "consumer")
    say_table(columns, ([str(each[column] or "") for column in columns] for each in page["executions"]))
    if page["next"]:
        say(f"older ones: --before {page['next']}")
    return 0


def _admin(url: str | None) -> tuple[str, str | None]:
    """Where to ask, and with which token: the environment's, else the configuration's."""
    token = os.environ.get(TOKEN_VARIABLE)
    if url is not None or not Path(DEFAULT_FILE).exists():
        return url or DEFAULT_ADMIN, token
    from stagedoor.config import check

    configuration = check(DEFAULT_FILE).configuration
    if configuration is None:
        return DEFAULT_ADMIN, token
    admin = configuration.settings.admin
    host, _, port = admin.bind.rpartition(":")
    # What listens everywhere is reached here.
    host = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}.get(host, host)
    return f"http://{host}:{port}", token or (admin.token.get_secret_value() if admin.token else None)


def _get(url: str, token: str | None, path: str) -> Json:
    parts = urlsplit(url if "://" in url else f"http://{url}")
    if parts.scheme != "http" or not parts.hostname:
        raise AdminUnavailable(f"{url} is not an http URL")
    headers = {"Accept": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
    connection = http.client.HTTPConnection(parts.hostname, parts.port or 80, timeout=TIMEOUT_S)
    try:
        connection.request("GET", path, headers=headers)
        response = connection.getresponse()
        body = response.read()
    except (OSError, http.client.HTTPException) as error:
        raise AdminUnavailable(f"no answer from the admin endpoint at {url}: {error}") from None
    finally:
        connection.close()
    try:
        answer = json.loads(body)
    except ValueError:
        raise AdminUnavailable(f"{url} answered {response.status} with something else than JSON") from None
    if response.status == 401:
        raise AdminUnavailable(f"the admin endpoint at {url} asks for a token: set {TOKEN_VARIABLE}")
    if response.status != 200:
        raise AdminUnavailable(f"{url}: {answer.get('detail', response.reason)}")
    return answer
