"""``stagedoor run [FILE]``: serve until told to end."""

from __future__ import annotations

import argparse
from pathlib import Path

from stagedoor.cli.output import file_argument, tell
from stagedoor.cli.uncollected import uncollected
from stagedoor.config import check
from stagedoor.policies.unit import Duration

NAME = "run"
HELP = "serve; reload on change or SIGHUP, drain on SIGTERM"


def configure(parser: argparse.ArgumentParser) -> None:
    file_argument(parser)
    parser.add_argument(
        "--addresses",
        type=Path,
        metavar="PATH",
        help="write the bound addresses to this file, as JSON, once everything is bound",
    )
    parser.add_argument(
        "--drain",
        type=_seconds,
        default="30s",
        metavar="DURATION",
        help="time for exchanges to finish after SIGTERM (default: 30s)",
    )
    parser.add_argument(
        "--standby",
        action="store_true",
        help="while another gateway has the store, wait for it and take over when that one is gone",
    )


def run(arguments: argparse.Namespace) -> int:
    with uncollected():
        # Imported here: no other command needs the gateway.
        from stagedoor import gateway

        report = check(arguments.file)
    if report.configuration is None:
        tell(report.problems)
        return 1
    return gateway.run(report.configuration, gateway.Options(arguments.addresses, arguments.drain, arguments.standby))


def _seconds(text: str) -> float:
    try:
        return Duration.parse(text) / 1000
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
