"""``stagedoor workflow test FILE...``: cases with mocked services on a virtual clock."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from rich.text import Text

from stagedoor.cli.output import json_argument, say, say_json, tell
from stagedoor.config import InvalidConfiguration
from stagedoor.testing import (
    Case,
    CaseFile,
    Difference,
    RehearsalFailed,
    check,
    read_cases,
    rehearse,
    rehearse_with_crashes,
)

NAME = "test"
HELP = "run files of cases with mocked services on a virtual clock; exit 1 if one fails"
WIDEST = 300
"""Characters of a value that is shown."""
Json = Any


@dataclass(slots=True)
class Verdict:
    file: str
    case: str
    differences: list[Difference] = field(default_factory=list)
    failure: str | None = None
    calls: int = 0
    events: int = 0
    took_s: float = 0.0
    """Of virtual time."""
    crashes: int = 0
    after: int | None = None
    """Number of the event after which a crash led to the differences."""

    @property
    def passed(self) -> bool:
        return not self.differences and self.failure is None


def configure(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", nargs="+", metavar="FILE", help="a file of cases")
    parser.add_argument("-k", metavar="TEXT", dest="chosen", help="only cases whose name contains this")
    parser.add_argument(
        "--crash-everywhere",
        action="store_true",
        help="repeat each case with a crash after every event; the outcome must stay the same",
    )
    json_argument(parser)


def run(arguments: argparse.Namespace) -> int:
    files: list[CaseFile] = []
    wrong = False
    for name in arguments.files:
        try:
            files.append(read_cases(name))
        except InvalidConfiguration as invalid:
            tell(invalid.problems)
            wrong = True
    if wrong:
        return 1
    begun = time.monotonic()
    verdicts: list[Verdict] = []
    for file in files:
        for case in file.cases:
            if arguments.chosen is None or arguments.chosen in case.name:
                verdict = judge(file, case, arguments.crash_everywhere)
                verdicts.append(verdict)
                if not arguments.json:
                    for line in _lines(verdict):
                        say(line)
    passed = sum(verdict.passed for verdict in verdicts)
    failed = len(verdicts) - passed
    if arguments.json:
        say_json({"passed": passed, "failed": failed, "cases": [_as_json(verdict) for verdict in verdicts]})
    elif not verdicts:
        say("no case is chosen")
    else:
        say(f"{passed} passed, {failed} failed in {time.monotonic() - begun:.2f} s")
    return 1 if failed or not verdicts else 0


def judge(file: CaseFile, case: Case, crash_everywhere: bool = False) -> Verdict:
    """Plays one case and compares."""
    verdict = Verdict(file.path.name, case.name)
    try:
        outcome = rehearse(file.definition, case)
        verdict.calls, verdict.events, verdict.took_s = len(outcome.calls), len(outcome.history), outcome.took
        verdict.differences = check(case, outcome)
        if crash_everywhere and verdict.passed:
            for number, differences in rehearse_with_crashes(file.definition, case, outcome):
                verdict.crashes += 1
                if differences:
                    verdict.differences, verdict.after = differences, number
                    break
    except RehearsalFailed as failure:
        verdict.failure = str(failure).removeprefix(f"{case.name}: ")
    return verdict


def _lines(verdict: Verdict) -> Iterator[Text]:
    mark, style = ("✓", "green") if verdict.passed else ("✗", "red")
    facts = f"{verdict.calls} calls, {_long(verdict.took_s)}"
    if verdict.crashes:
        facts += f", {verdict.crashes} crashes"
    yield Text.assemble((f"{mark} ", style), f"{verdict.case}  ", (f"{verdict.file}: {facts}", "dim"))
    if verdict.failure is not None:
        yield Text(f"    {verdict.failure}", style="red")
    if verdict.after is not None:
        yield Text(f"    with a crash after event {verdict.after} of {verdict.events}:", style="red")
    for difference in verdict.differences:
        yield Text(f"    {difference.where}", style="bold")
        yield Text(f"      expected {_short(difference.wanted)}")
        found = "nothing" if difference.missing else _short(difference.found)
        yield Text(f"      found    {found}", style="red")


def _long(seconds: float) -> str:
    return f"{seconds:.3f} s" if seconds < 60 else str(timedelta(seconds=round(seconds)))


def _short(value: Json) -> str:
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= WIDEST else f"{text[: WIDEST - 1]}…"


def _as_json(verdict: Verdict) -> Json:
    return {
        "file": verdict.file,
        "case": verdict.case,
        "passed": verdict.passed,
        "failure": verdict.failure,
        "crashes": verdict.crashes,
        "crash_after_event": verdict.after,
        "calls": verdict.calls,
        "events": verdict.events,
        "seconds": verdict.took_s,
        "differences": [
            {"where": each.where, "expected": each.wanted, "found": each.found} for each in verdict.differences
        ],
    }
