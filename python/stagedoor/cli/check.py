"""``stagedoor check [FILE]``: every error and warning of a configuration."""

from __future__ import annotations

import argparse
from collections.abc import Sized

from stagedoor.cli.output import file_argument, json_argument, say, say_json, tell
from stagedoor.config import check as check_file

NAME = "check"
HELP = "tell every error and warning of a configuration; exit 1 on errors"


def configure(parser: argparse.ArgumentParser) -> None:
    file_argument(parser)
    json_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    report = check_file(arguments.file)
    errors, warnings = len(report.errors), len(report.warnings)
    if arguments.json:
        problems = [problem.as_json() for problem in report.problems]
        say_json({"valid": errors == 0, "errors": errors, "warnings": warnings, "problems": problems})
        return 1 if errors else 0
    tell(report.problems)
    if errors:
        say(f"{arguments.file}: {_count(errors, 'error')}, {_count(warnings, 'warning')}")
        return 1
    if (configuration := report.configuration) is not None:
        settings = configuration.settings
        counts: dict[str, Sized] = {
            "route": settings.routes,
            "cluster": settings.clusters,
            "workflow": configuration.workflows,
        }
        parts = [_count(len(things), word) for word, things in counts.items()]
        say(f"{arguments.file}: right: {', '.join(parts)}, {_count(warnings, 'warning')}")
    return 0


def _count(number: int, word: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}s"
