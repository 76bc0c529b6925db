"""``stagedoor explain METHOD URL``: which route answers, why, with which policies, and where it leads."""

from __future__ import annotations

import argparse
import json
from typing import Any

from rich.text import Text

from stagedoor import _core
from stagedoor.cli.output import DEFAULT_FILE, fail, json_argument, say, say_json, say_table
from stagedoor.cli.target import target_text
from stagedoor.config import compile, load

NAME = "explain"
HELP = "tell which route answers a request, why, with which policies in which order, and where it leads"


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("method", metavar="METHOD")
    parser.add_argument("url", metavar="URL", help="http://HOST/PATH?QUERY, or a path")
    parser.add_argument(
        "-H", "--header", action="append", default=[], metavar="'NAME: VALUE'", help="a request header; may be repeated"
    )
    parser.add_argument(
        "-f", "--file", default=DEFAULT_FILE, metavar="FILE", help=f"the configuration (default: {DEFAULT_FILE})"
    )
    json_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    """0 where a route answers, 1 where none does."""
    headers = []
    for header in arguments.header:
        name, colon, value = header.partition(":")
        if not colon:
            return fail("a header is written 'NAME: VALUE'") + 1
        headers.append((name.strip(), value.strip()))
    snapshot = json.dumps(compile(load(arguments.file)))
    explained = _core.explain(snapshot, arguments.method, arguments.url, headers)
    if arguments.json:
        say_json(explained)
    else:
        _print(explained)
    return 0 if explained["outcome"] == "route" else 1


def _print(explained: dict[str, Any]) -> None:
    say(_outcome(explained))
    why = explained.get("why", {})
    for reason in (why.get("host"), why.get("path"), why.get("method"), *why.get("conditions", ())):
        if reason:
            say(f"  because {reason}")
    if why.get("priority"):
        say(f"  with the priority {why['priority']}")
    for name, value in explained.get("params", {}).items():
        say(f"  {{{name}}} is {value}")
    if explained.get("policies"):
        say("")
        rows = ((each["policy"], _settings(each["settings"])) for each in explained["policies"])
        say_table(("POLICY, IN ORDER", "SETTINGS"), rows)
    if "target" in explained:
        target = explained["target"]
        say("")
        say(f"leads to {target_text(target)}")
        for endpoint in target.get("endpoints", ()):
            say(f"  {endpoint}")
        if "status_path" in target:
            say(f"  status at {target['status_path']}")
    if explained.get("candidates"):
        say("")
        rows = ((each["route"], each["refused"]) for each in explained["candidates"])
        say_table(("NOT TAKEN", "BECAUSE"), rows)


def _outcome(explained: dict[str, Any]) -> Text:
    request = explained.get("request", {})
    asked = f"{request.get('method', '')} {request.get('host', '')}{request.get('path', '')}"
    match explained["outcome"]:
        case "route":
            return Text.assemble(f"{asked} is answered by the route ", (explained["route"], "bold green"))
        case "method_not_allowed":
            return Text(f"{asked}: {explained['status']}, its path allows {explained['allow']}", style="yellow")
        case "not_found":
            return Text(f"{asked}: 404, no route matches", style="yellow")
    return Text(f"refused with {explained['status']}: {explained['reason']}", style="yellow")


def _settings(settings: Any) -> str:
    """JSON without its outermost braces: short, and nothing is left out."""
    text = json.dumps(settings, ensure_ascii=False)
    return text[1:-1] if text.startswith("{") else text
