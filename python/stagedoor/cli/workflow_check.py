"""``stagedoor workflow check FILE...``: every error and warning of workflow documents, without a configuration."""

from __future__ import annotations

import argparse
from pathlib import Path

from stagedoor.cli.output import json_argument, say, say_json, tell
from stagedoor.config import InvalidConfiguration, Located
from stagedoor.config.problem import ordered
from stagedoor.config.workflows import located, read_document
from stagedoor.lint import lint

NAME = "check"
HELP = "tell every error of workflow documents, and what is suspicious in them; exit 1 on errors"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", metavar="FILE", help="a workflow document")
    json_argument(parser)


def _warnings(file: Path) -> list[Located]:
    """Of the document itself, and what is only suspicious. Raises InvalidConfiguration."""
    node, definition, warnings = read_document(file)
    return ordered([*warnings, *located(node, lint(definition))])


def run(arguments: argparse.Namespace) -> int:
    problems: list[Located] = []
    for file in arguments.files:
        try:
            problems += _warnings(Path(file))
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
