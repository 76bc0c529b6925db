"""``stagedoor executions list``: executions found by what they are, how they ended and what they are about."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from stagedoor.cli.admin import Admin
from stagedoor.cli.output import fail, say, say_json, say_table
from stagedoor.errors import StagedoorError
from stagedoor.workflow import duration

STATUSES = ("open", "running", "suspended", "completed", "faulted", "cancelled")
TIMES = {"since": "started_from", "until": "started_to", "ended_since": "ended_from", "ended_until": "ended_to"}
"""Option → parameter of the endpoint."""
PAGE = 500
Json = Any


class NotATime(StagedoorError):
    """An argument is no point in time."""


def configure(parser: argparse.ArgumentParser) -> None:
    """The options that choose, and how many are shown."""
    choose(parser)
    parser.add_argument("--limit", type=int, default=50, metavar="N", help="how many (default: 50)")
    parser.add_argument("--before", metavar="CURSOR", help="go on where an earlier list ended")


def choose(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--workflow", metavar="NAMESPACE/NAME", help="only of this workflow")
    parser.add_argument("--version", metavar="VERSION", help="only of this version of the workflow")
    parser.add_argument("--status", choices=STATUSES, help="open: running or suspended")
    parser.add_argument("--consumer", metavar="NAME", help="only those that this consumer started")
    incident = parser.add_mutually_exclusive_group()
    incident.add_argument("--incident", action="store_const", const="true", help="only where an operator must decide")
    incident.add_argument("--no-incident", action="store_const", const="false", dest="incident", help="only others")
    parser.add_argument(
        "--attribute",
        action="append",
        metavar="NAME=VALUE",
        help="only with this attribute, as their document declares it; more than once: with all of them",
    )
    for option, what in (
        ("since", "started at this time or later: 2027-01-31T00:00:00Z, or so long ago: 90m, 36h, 7d, PT5M"),
        ("until", "started before it"),
        ("ended-since", "ended at this time or later"),
        ("ended-until", "ended before it"),
    ):
        parser.add_argument(f"--{option}", metavar="TIME", help=what)
    parser.add_argument("--origin", metavar="ID", help="only those that were restarted from this execution")


def run(arguments: argparse.Namespace, admin: Admin) -> int:
    if arguments.limit < 1:
        return fail("--limit is a number from 1 on")
    asked = parameters(arguments)
    found: list[Json] = []
    after: str | None = arguments.before
    while True:
        page = admin.ask("GET", _path(asked, after, min(PAGE, arguments.limit - len(found))))
        found += page["executions"]
        after = page["next"]
        if after is None or len(found) >= arguments.limit:
            break
    if arguments.json:
        say_json({"executions": found, "next": after})
        return 0
    columns = ("id", "workflow", "version", "status", "created", "updated", "consumer")
    attributes = sorted({name for each in found for name in each["attributes"]})
    say_table(
        (*columns, *attributes),
        (
            [
                *(str(each[column] or "") for column in columns),
                *(_text(each["attributes"], name) for name in attributes),
            ]
            for each in found
        ),
    )
    if after:
        say(f"older ones: --before {after}")
    return 0


def every(admin: Admin, **asked: str) -> Iterator[Json]:
    """All executions that meet the conditions, page by page."""
    after = None
    while True:
        page = admin.ask("GET", _path(list(asked.items()), after, PAGE))
        yield from page["executions"]
        after = page["next"]
        if after is None:
            return


def parameters(arguments: argparse.Namespace) -> list[tuple[str, str]]:
    """As the endpoint is asked. Raises ``NotATime``."""
    names = ("workflow", "version", "status", "consumer", "incident", "origin")
    asked = [(name, getattr(arguments, name)) for name in names if getattr(arguments, name) is not None]
    asked += [("attribute", text) for text in arguments.attribute or []]
    return asked + [
        (parameter, moment(option, getattr(arguments, option)))
        for option, parameter in TIMES.items()
        if getattr(arguments, option) is not None
    ]


def moment(option: str, text: str) -> str:
    """A time of RFC 3339, of one itself or of how long ago it was. Raises ``NotATime``."""
    units = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
    try:
        if text[-1:] in units and text[:-1].isdecimal():
            ago = timedelta(**{units[text[-1]]: int(text[:-1])})
        elif text.startswith("P"):
            ago = timedelta(seconds=duration.seconds(text, datetime.now(UTC).timestamp()))
        else:
            time = datetime.fromisoformat(text)
            if time.tzinfo is None:
                raise ValueError("no zone")
            return time.isoformat()
        return (datetime.now(UTC) - ago).isoformat()
    except (ValueError, OverflowError):
        name = option.replace("_", "-")
        raise NotATime(f"--{name} {text}: expected 2027-01-31T00:00:00Z, or how long ago, such as 36h") from None


def _path(asked: list[tuple[str, str]], before: str | None, limit: int) -> str:
    more = [("limit", str(limit)), *([("before", before)] if before else [])]
    return "/executions?" + urlencode([*asked, *more])


def _text(attributes: Json, name: str) -> str:
    value = attributes.get(name, "")
    return str(value).lower() if isinstance(value, bool) else str(value)
