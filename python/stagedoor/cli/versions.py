"""``stagedoor versions``: the APIs of a running gateway, their versions, and who uses which."""

from __future__ import annotations

import argparse
import datetime
from collections.abc import Iterator
from typing import Any

from stagedoor.cli.admin import admin_argument, find_admin
from stagedoor.cli.output import json_argument, say, say_json, say_table

NAME = "versions"
HELP = "show the versions of APIs, their state, and who uses which, of a running gateway"
Json = Any


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--api", metavar="NAME", help="this one alone")
    admin_argument(parser)
    json_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    """1 where there is no API of that name."""
    apis = find_admin(arguments.admin).ask("GET", "/apis")["apis"]
    if arguments.api is not None:
        apis = [api for api in apis if api["api"] == arguments.api]
    if arguments.json:
        say_json({"apis": apis})
    else:
        say_table(
            ("API", "VERSION", "STATE", "SUNSET", "LEADS TO", "USED BY"), [row for api in apis for row in _rows(api)]
        )
        for api in apis:
            if api["unknown"]:
                say(f"{api['api']}: {api['unknown']} requests for versions that there are not")
    return 0 if apis or arguments.api is None else 1


def _rows(api: Json) -> Iterator[tuple[str, ...]]:
    """One for each version, and one for each further consumer of it."""
    for version in api["versions"]:
        used = [_used(each) for each in sorted(version["used"], key=lambda each: -each["last"])]
        name = version["version"] + (" (default)" if version["default"] else "")
        sunset = "" if version["sunset"] is None else _time(version["sunset"])[:10]
        yield api["api"], name, version["state"], sunset, _leads(version), used[0] if used else "nobody"
        for each in used[1:]:
            yield "", "", "", "", "", each


def _leads(version: Json) -> str:
    if version["chain"]:
        return " → ".join(version["chain"])
    return f"cluster {version['cluster']}" if version["cluster"] else ""


def _used(used: Json) -> str:
    counts = [f"{used['served']} served"] if used["served"] else []
    counts += [f"{used['refused']} refused"] if used["refused"] else []
    return f"{used['consumer'] or 'nobody known'}: {', '.join(counts)}, last {_time(used['last'])}"


def _time(seconds: int) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
