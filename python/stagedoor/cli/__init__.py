"""The ``stagedoor`` command: a table of modules, each with ``NAME``, ``HELP``, ``configure`` and ``run``.

Exit codes: 0 it is done · 1 there are errors, all told on stderr · 2 the command line is wrong · 130 interrupted.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Protocol, cast

from stagedoor.cli.output import fail, tell
from stagedoor.cli.uncollected import uncollected
from stagedoor.config import InvalidConfiguration
from stagedoor.errors import StagedoorError

COMMANDS = (
    "run",
    "demo",
    "check",
    "explain",
    "routes",
    "schema",
    "workflow",
    "replay",
    "executions",
    "consumers",
    "keys",
    "credentials",
    "plans",
    "cache",
    "versions",
    "audit",
)
"""Each a module of this package by the same name."""


class Command(Protocol):
    """What a module of this package offers."""

    NAME: str
    HELP: str

    def configure(self, parser: argparse.ArgumentParser) -> None: ...
    def run(self, arguments: argparse.Namespace) -> int:
        """The exit code."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command. Arguments default to the process's own."""
    arguments = sys.argv[1:] if arguments is None else arguments
    parsed = parser(*arguments[:1]).parse_args(arguments)
    try:
        code: int = parsed.run(parsed)
        sys.stdout.flush()
        return code
    except InvalidConfiguration as invalid:
        tell(invalid.problems)
        return 1
    except StagedoorError as error:
        return fail(str(error))
    except BrokenPipeError:
        # Whoever read the output has read enough; the interpreter's own flush at exit must not complain either.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        return fail(f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror or error))
    except KeyboardInterrupt:
        return 130


def parser(asked: str | None = None) -> argparse.ArgumentParser:
    """The whole command line; of the commands only the one that is asked for, if there is such a one: to import all of
    them takes longer than most of them run."""
    whole = argparse.ArgumentParser(prog="stagedoor", description="An API gateway with a durable API orchestrator.")
    whole.add_argument("--version", action=_Version, nargs=0, help="print the version")
    commands = whole.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name in (asked,) if asked in COMMANDS else COMMANDS:
        command = _command(name)
        part = commands.add_parser(command.NAME, help=command.HELP, description=command.HELP)
        command.configure(part)
        part.set_defaults(run=command.run)
    return whole


def _command(name: str) -> Command:
    with uncollected():
        return cast(Command, import_module(f"stagedoor.cli.{name}"))


class _Version(argparse.Action):
    """To look it up takes time that no other command need pay for."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import PackageNotFoundError, version

        try:
            print(f"stagedoor {version('stagedoor')}")
        except PackageNotFoundError:
            print("stagedoor (not installed)")
        parser.exit()
