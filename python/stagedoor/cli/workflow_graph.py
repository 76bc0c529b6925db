"""``stagedoor workflow graph FILE``: a picture of a document, or of what one execution did."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any
from urllib.parse import quote

from stagedoor.cli.admin import admin_argument, find_admin
from stagedoor.cli.output import say
from stagedoor.config.workflows import read_workflow
from stagedoor.engine.replay import NotAHistory, read_history, replay
from stagedoor.graph import Graph, build, mermaid, svg

NAME = "graph"
HELP = "draw a workflow as SVG or Mermaid, alone or with what one execution did"
Json = Any


def configure(parser: argparse.ArgumentParser) -> None:
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("file", nargs="?", metavar="FILE", help="a workflow document")
    what.add_argument(
        "--execution", metavar="ID", help="an execution of a running gateway, with its times and failures"
    )
    what.add_argument("--history", metavar="FILE", help="the same, of a recorded history")
    parser.add_argument("--format", choices=("svg", "mermaid"), help="default: by the name of the output, else mermaid")
    parser.add_argument("--output", "-o", metavar="FILE", help="default: stdout")
    admin_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    if arguments.execution is not None:
        name = quote(arguments.execution, safe="")
        graph = _drawn(find_admin(arguments.admin).ask("GET", f"/executions/{name}/history"))
    elif arguments.history is not None:
        graph = _drawn(read_history(Path(arguments.history)))
    else:
        definition, _ = read_workflow(Path(arguments.file))
        graph = build(definition.document)
    named = "svg" if (arguments.output or "").endswith(".svg") else "mermaid"
    text = svg(graph) if (arguments.format or named) == "svg" else mermaid(graph)
    if arguments.output is None:
        say(text.rstrip("\n"))
    else:
        Path(arguments.output).write_text(text, "utf-8")
    return 0


def _drawn(history: Json) -> Graph:
    replayed = replay(history)
    if replayed.mismatch is not None:
        raise NotAHistory(f"the history does not belong to its document: {replayed.mismatch}")
    return build(history["document"], replayed.timeline, replayed.status)
