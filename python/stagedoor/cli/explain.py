"""``stagedoor explain METHOD URL``: which route answers, why, what its policies decide, and where it leads."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any

from rich.text import Text

from stagedoor import _core
from stagedoor.cli.output import DEFAULT_FILE, fail, json_argument, say, say_json, say_table
from stagedoor.cli.target import plan, target_text
from stagedoor.config import compile, load

NAME = "explain"
HELP = "tell which route answers a request, why, what its policies decide in which order, and where it leads"
_SHADES = {"passes": "green", "open": "yellow", "refused": "red", "answered": "cyan"}


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("method", metavar="METHOD")
    parser.add_argument("url", metavar="URL", help="http://HOST/PATH?QUERY, or a path")
    parser.add_argument(
        "-H", "--header", action="append", default=[], metavar="'NAME: VALUE'", help="a request header; may be repeated"
    )
    parser.add_argument(
        "--from", dest="client", default="127.0.0.1", metavar="ADDRESS", help="of the client (default: 127.0.0.1)"
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
    try:
        client = ip_address(arguments.client)
    except ValueError:
        return fail(f"'{arguments.client}' is not an address") + 1
    snapshot = json.dumps(compile(load(arguments.file)))
    explained = _core.explain(snapshot, arguments.method, arguments.url, headers, client)
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
    if explained.get("decisions"):
        say("")
        _decisions(explained["decisions"], explained.get("consumer"))
    if "target" in explained:
        target = explained["target"]
        say("")
        say(f"leads to {target_text(target)}")
        for endpoint in target.get("endpoints", ()):
            say(f"  {endpoint}")
        for kind, settings in (target.get("credentials") or {}).items():
            say(f"  to which the gateway proves itself by {kind}: {_settings(settings)}")
        if "aggregate" in target:
            say_table(("CALL", "WHEN", "WHERE"), plan(target["aggregate"]))
        if "status_path" in target:
            say(f"  status at {target['status_path']}")
    if explained.get("candidates"):
        say("")
        rows = ((each["route"], each["refused"]) for each in explained["candidates"])
        say_table(("NOT TAKEN", "BECAUSE"), rows)


def _decisions(decisions: list[dict[str, Any]], consumer: dict[str, Any] | None) -> None:
    say_table(("POLICY", "DECISION", "BECAUSE"), [row for each in decisions for row in _rows(each)])
    if consumer is not None:
        parts = (f"{name}: {_text(value)}" for name, value in consumer.items() if value and name != "name")
        say(f"the consumer is {consumer['name']} ({', '.join(parts)})")
    for each in decisions:
        for asked in each.get("asks", ()):
            say(f"{asked['who']} would be asked, in the cluster {asked['cluster']}: {asked['method']} {asked['path']}")
            say(f"  {_settings(asked['input'])}")


def _rows(decision: dict[str, Any]) -> Iterator[tuple[str, Text, str]]:
    """What a policy decides, and below it what it looked at."""
    word = decision["decision"] + (f" {decision['status']}" if "status" in decision else "")
    yield decision["policy"], Text(word, style=_SHADES.get(decision["decision"], "")), decision["why"]
    for scheme in decision.get("schemes", ()):
        yield f"  {scheme['scheme']}", Text(scheme["says"]), scheme["why"]
    for looked in decision.get("conditions", ()):
        word = "holds" if looked["holds"] else "does not hold"
        why = ": ".join(part for part in (looked.get("unmet"), looked.get("why")) if part)
        yield f"  {looked['conditions']}", Text(word), why
    for limit in decision.get("limits", ()):
        yield f"  {limit['id']}", Text(""), f"{limit['limit']} in {limit['per_ms']} ms by {limit['by']}"


def _text(value: Any) -> str:
    return ", ".join(value) if isinstance(value, list) else str(value)


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
