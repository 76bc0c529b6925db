"""``stagedoor schema``: the JSON Schema of the configuration file, for editors."""

from __future__ import annotations

import argparse

from stagedoor.cli.output import say_json
from stagedoor.config.schema import schema

NAME = "schema"
HELP = "print the JSON Schema (draft 2020-12) of the configuration file"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.epilog = "In an editor: # yaml-language-server: $schema=stagedoor.schema.json"


def run(arguments: argparse.Namespace) -> int:
    say_json(schema())
    return 0
