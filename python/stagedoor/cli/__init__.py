"""The ``stagedoor`` command: a table of modules, each with ``NAME``, ``HELP``, ``configure`` and ``run``.

Exit codes: 0 it is done · 1 there are errors, all told on stderr · 2 the command line is wrong · 130 interrupted.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Protocol

from stagedoor.cli import (
    audit,
    cache,
    check,
    consumers,
    credentials,
    demo,
    executions,
    explain,
    keys,
    plans,
    replay,
    routes,
    run,
    schema,
    versions,
    workflow,
)
from stagedoor.cli.output import fail, tell
from stagedoor.config import InvalidConfiguration
from stagedoor.errors import StagedoorError


class Command(Protocol):
    """What a module of this package offers."""

    NAME: str
    HELP: str

    def configure(self, parser: argparse.ArgumentParser) -> None: ...
    def run(self, arguments: argparse.Namespace) -> int:
        """The exit code."""


COMMANDS: tuple[Command, ...] = (
    run,
    demo,
    check,
    explain,
    routes,
    schema,
    workflow,
    replay,
    executions,
    consumers,
    keys,
    credentials,
    plans,
    cache,
    versions,
    audit,
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command. Arguments default to the process's own."""
    parsed = parser().parse_args(arguments)
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


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    whole = argparse.ArgumentParser(prog="stagedoor", description="An API gateway with a durable API orchestrator.")
    whole.add_argument("--version", action="version", version=f"stagedoor {_version()}")
    commands = whole.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in COMMANDS:
        part = commands.add_parser(command.NAME, help=command.HELP, description=command.HELP)
        command.configure(part)
        part.set_defaults(run=command.run)
    return whole


def _version() -> str:
    try:
        return version("stagedoor")
    except PackageNotFoundError:
        return "(not installed)"
