"""``stagedoor workflow VERB``: what authors of workflows do, each verb in a module of its own."""

from __future__ import annotations

import argparse

from stagedoor.cli import workflow_build, workflow_check, workflow_graph, workflow_run, workflow_test

NAME = "workflow"
HELP = "check workflow documents, test them with mocked services, draw them, run one once, or write one for any runtime"
VERBS = (workflow_check, workflow_test, workflow_graph, workflow_run, workflow_build)


def configure(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)
    for verb in VERBS:
        part = verbs.add_parser(verb.NAME, help=verb.HELP, description=verb.HELP)
        verb.configure(part)
        part.set_defaults(verb=verb.run)


def run(arguments: argparse.Namespace) -> int:
    code: int = arguments.verb(arguments)
    return code
