"""``stagedoor replay HISTORY``: today's machine fed with what happened once."""

from __future__ import annotations

import argparse
from dataclasses import asdict
from pathlib import Path

from stagedoor.cli.output import fail, json_argument, say, say_json
from stagedoor.config.workflows import read_workflow
from stagedoor.engine.replay import read_history, replay

NAME = "replay"
HELP = "feed recorded histories to today's machine and compare; exit 1 where it would have gone another way"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", metavar="HISTORY", help="written by 'stagedoor executions history ID'")
    parser.add_argument("--workflow", metavar="FILE", help="by this document instead of the history's own")
    json_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    definition = read_workflow(Path(arguments.workflow))[0] if arguments.workflow is not None else None
    code, shown = 0, []
    for name in arguments.files:
        replayed = replay(read_history(Path(name)), definition)
        code = code or (0 if replayed.mismatch is None else 1)
        pending = [{"command": type(each).__name__, **asdict(each)} for each in replayed.pending]
        shown.append(
            {
                "file": name,
                "same": replayed.mismatch is None,
                "mismatch": replayed.mismatch,
                "events": replayed.events,
                "commands": replayed.commands,
                "status": replayed.status,
                "pending": pending,
            }
        )
        if arguments.json:
            continue
        if replayed.mismatch is not None:
            fail(f"{name}: {replayed.mismatch}")
            continue
        say(f"{name}: the same: {replayed.events} events, {replayed.commands} commands, {replayed.status}")
        for each in replayed.pending:
            say(f"  unanswered: {type(each).__name__} {getattr(each, 'id', '')}")
    if arguments.json:
        say_json({"histories": shown})
    return code
