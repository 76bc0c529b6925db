"""How commands speak: tables and colour on a terminal, JSON with ``--json``, errors on stderr."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from stagedoor.config.excerpt import excerpt
from stagedoor.config.problem import Located

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

DEFAULT_FILE = "stagedoor.yaml"


def file_argument(parser: argparse.ArgumentParser) -> None:
    """``[FILE]``, as an argument of its own."""
    parser.add_argument(
        "file", nargs="?", default=DEFAULT_FILE, metavar="FILE", help=f"the configuration (default: {DEFAULT_FILE})"
    )


def json_argument(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON on stdout")


def say(text: str | Text) -> None:
    """A line for people on stdout."""
    _console().print(_text(text))


def say_json(value: Any) -> None:
    json.dump(value, sys.stdout, indent=2, ensure_ascii=False)
    sys.stdout.write("\n")


def say_table(columns: Sequence[str], rows: Iterable[Sequence[str | Text]]) -> None:
    """Cells are text, never markup. Where nobody looks, nothing is cut off."""
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=10_000)
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*map(_text, row))
    console.print(table)


def note(message: str) -> None:
    """What one should know beside what is on stdout."""
    _console(stderr=True).print(_text("").append("note: ", "bold").append(message))


def fail(message: str) -> int:
    """An error on stderr; the exit code for it."""
    _console(stderr=True).print(_text("").append("error: ", "bold red").append(message))
    return 1


def tell(problems: Iterable[Located]) -> None:
    """Each on stderr as ``file:line:column: path: …``; on a terminal with the line it is about and a caret."""
    console = _console(stderr=True)
    for problem in problems:
        style = "yellow" if problem.severity == "warning" else "red"
        console.print(_text(str(problem), f"bold {style}" if console.is_terminal else ""))
        lines = excerpt(problem) if console.is_terminal else None
        if lines is not None:
            console.print(_text(lines[0], "dim"))
            console.print(_text(lines[1], style))


# What paints is imported by those who have something to say: a gateway that serves has not.


def _console(*, stderr: bool = False) -> Console:
    from rich.console import Console

    return Console(stderr=stderr, soft_wrap=True, highlight=False)


def _text(text: str | Text, style: str = "") -> Text:
    from rich.text import Text

    return Text(text, style=style) if isinstance(text, str) else text
