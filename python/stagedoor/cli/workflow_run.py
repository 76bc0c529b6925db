"""``stagedoor workflow run FILE``: one document, run once against real services, with its progress on the terminal."""

from __future__ import annotations

import argparse
import asyncio
import json
import signal
import sys
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from rich.console import Console

from stagedoor import config
from stagedoor.cli import timeline
from stagedoor.cli.json_value import json_value
from stagedoor.cli.output import DEFAULT_FILE, fail
from stagedoor.config import Configuration
from stagedoor.config.workflows import workflow_name
from stagedoor.once import CannotRun, once

NAME = "run"
HELP = "run a workflow once against real services, without a gateway; exit 1 if it does not complete"
Json = Any


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="a workflow document")
    parser.add_argument("--input", default="null", metavar="JSON", help="its input, or @FILE (default: null)")
    parser.add_argument(
        "--config",
        metavar="FILE",
        help=f"whose clusters, secrets, activities and workflows it may use (default: {DEFAULT_FILE} if it is there)",
    )
    parser.add_argument(
        "--host",
        action="append",
        default=[],
        metavar="URL",
        help="http(s)://HOST:PORT that it may call, beside those of the configuration; may be repeated",
    )
    parser.add_argument("--quiet", "-q", action="store_true", help="only the output")


def run(arguments: argparse.Namespace) -> int:
    file = Path(arguments.file)
    given = json_value("--input", arguments.input)
    shown = asyncio.run(_once(_configuration(arguments, file), str(workflow_name(file)), given, arguments.quiet))
    if shown["status"] == "completed":
        json.dump(shown.get("output"), sys.stdout, indent=2, ensure_ascii=False)
        sys.stdout.write("\n")
        return 0
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    for line in timeline.end(shown):
        console.print(line)
    return fail(f"the execution is {shown['status']}")


def _configuration(arguments: argparse.Namespace, file: Path) -> Configuration:
    named = arguments.config or (DEFAULT_FILE if Path(DEFAULT_FILE).exists() else None)
    with TemporaryDirectory(prefix="stagedoor-") as folder:
        path = Path(folder) / DEFAULT_FILE
        path.write_text(json.dumps({"listeners": {"run": {"bind": "127.0.0.1:0"}}, "engine": {"allow_hosts": []}}))
        try:
            return config.load(named or path, also=file, hosts=tuple(arguments.host))
        except ValueError as error:
            raise CannotRun(f"--host: expected http(s)://HOST:PORT: {error}") from None


async def _once(configuration: Configuration, workflow: str, input: Json, quiet: bool) -> Json:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGINT, stop.set)
    console = Console(stderr=True, soft_wrap=True, highlight=False)
    told = 0

    def tell(shown: Json) -> None:
        """Each step once, when it has ended."""
        nonlocal told
        begin = datetime.fromisoformat(shown["created"])
        entries = shown["timeline"]
        while told < len(entries) and entries[told]["outcome"] not in ("running", "open"):
            for line in timeline.step(entries[told], begin):
                console.print(line)
            told += 1

    return await once(configuration, workflow, input, (lambda shown: None) if quiet else tell, stop)
