"""``stagedoor workflow build --portable FILE``: the document for any runtime of the specification."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from stagedoor.cli.output import fail, json_argument, say_json, tell
from stagedoor.config import InvalidConfiguration
from stagedoor.config.problem import ordered
from stagedoor.config.workflows import located, read_document
from stagedoor.errors import InvalidDefinition
from stagedoor.portable import lower, write

NAME = "build"
HELP = (
    "write a workflow document without stagedoor's metadata about undoing; tell what that loses; exit 1 if it cannot be"
)


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a workflow document")
    parser.add_argument(
        "--portable", action="store_true", required=True, help="for any runtime: undos as try, catch and raise"
    )
    parser.add_argument("-o", "--output", metavar="FILE", help="where to write it (default: stdout)")
    parser.add_argument("--strict", action="store_true", help="exit 1 and write nothing if anything is lost")
    json_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    try:
        node, definition, _ = read_document(Path(arguments.file))
    except InvalidConfiguration as invalid:
        tell(invalid.problems)
        return 1
    try:
        portable = lower(definition.document)
    except InvalidDefinition as refused:
        tell(ordered(list(located(node, refused.problems))))
        return 1
    lost = list(located(node, portable.lost))
    tell(lost)
    if lost and arguments.strict:
        return 1
    if arguments.json:
        say_json({"document": portable.document, "lost": [problem.as_json() for problem in lost]})
        return 0
    text = write(portable.document)
    if arguments.output is None:
        sys.stdout.write(text)
        return 0
    try:
        Path(arguments.output).write_text(text, encoding="utf-8")
    except OSError as error:
        return fail(f"{arguments.output}: {error.strerror}")
    return 0
