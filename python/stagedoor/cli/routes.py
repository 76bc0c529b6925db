"""``stagedoor routes [FILE]``: the route table in precedence order."""

from __future__ import annotations

import argparse
import json

from stagedoor import _core
from stagedoor.cli.output import file_argument, json_argument, say_json, say_table
from stagedoor.cli.target import target_text
from stagedoor.config import compile, load

NAME = "routes"
HELP = "print the route table in precedence order"


def configure(parser: argparse.ArgumentParser) -> None:
    file_argument(parser)
    json_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    routes = _core.routes(json.dumps(compile(load(arguments.file))))
    if arguments.json:
        say_json(routes)
        return 0
    say_table(
        ("ROUTE", "METHODS", "HOSTS", "PATH", "CONDITIONS", "PRIORITY", "POLICIES", "TARGET"),
        (
            (
                route["route"],
                ",".join(route["methods"]) or "any",
                ",".join(route["hosts"]) or "any",
                route["path"],
                ", ".join(route["conditions"]),
                str(route["priority"] or ""),
                ", ".join(route["policies"]),
                target_text(route["target"]),
            )
            for route in routes
        ),
    )
    return 0
