"""``stagedoor workflow check FILE...``: every error and warning of workflow documents, without a configuration."""

from __future__ import annotations

import argparse
from pathlib import Path

from stagedoor.cli.output import json_argument, say, say_json, tell
from stagedoor.config import InvalidConfiguration, Located
from stagedoor.config.workflows import read_workflow

NAME = "check"
HELP = "tell every error and warning of workflow documents; exit 1 on errors"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", metavar="FILE", help="a workflow document")
    json_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    problems: list[Located] = []
    for file in arguments.files:
        try:
            _, warnings = read_workflow(Path(file))
            problems += warnings
        except InvalidConfiguration as invalid:
            problems += invalid.problems
    wrong = any(problem.severity == "error" for problem in problems)
    if arguments.json:
        say_json({"valid": not wrong, "problems": [problem.as_json() for problem in problems]})
        return 1 if wrong else 0
    tell(problems)
    if not wrong:
        number = len(arguments.files)
        say(f"{number} {'document is' if number == 1 else 'documents are'} right, {len(problems)} warnings")
    return 1 if wrong else 0
