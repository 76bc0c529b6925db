"""Scenarios in Gherkin, the specification's and ours, read as the cases that ``test_scenarios`` runs.

What the phrases mean is told in ``features/README.md``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from gherkin import Compiler, Parser
from ruamel.yaml import YAML
from stagedoor.workflow import duration

Json = Any
Case = dict[str, Any]
Step = Callable[[Case, Json, Any], None]


def read(path: Path) -> list[Case]:
    """The scenarios of a file. AssertionError names a phrase that nobody knows."""
    cases: list[Case] = []
    for pickle in Compiler().compile({**Parser().parse(path.read_text()), "uri": path.name}):
        case: Case = {"case": pickle["name"], "requests": {}}
        for step in pickle["steps"]:
            content = step.get("argument", {}).get("docString", {}).get("content")
            data = None if content is None else YAML(typ="safe", pure=True).load(content)
            _step(case, step["text"].removeprefix("given "), data, path)
        cases.append(case)
    return cases


def _step(case: Case, phrase: str, data: Json, path: Path) -> None:
    for pattern, step in STEPS:
        if match := re.fullmatch(pattern, phrase):
            step(case, data, match)
            return
    raise AssertionError(f"{path.name}, {case['case']}: there is no phrase '{phrase}'")


def seconds(text: str) -> float:
    return duration.seconds(text, 0.0)


def timed(item: Json) -> Json:
    return {**item, "after": seconds(item["after"])} if "after" in item else item


def put(key: str, value: Json = ...) -> Step:
    """The case has this key, with a value or with that of the doc string."""

    def step(case: Case, data: Json, match: Any) -> None:
        assert key not in case, f"{case['case']}: {key} twice"
        case[key] = data if value is ... else value

    return step


def ended(status: str, key: str | None = None) -> Step:
    def step(case: Case, data: Json, match: Any) -> None:
        put("status", status)(case, None, match)
        if key is not None:
            put(key)(case, data, match)

    return step


def answered(case: Case, data: Json, match: Any) -> None:
    case["requests"][match[1]] = [timed(answer) for answer in (data if isinstance(data, list) else [data])]


def stopped(case: Case, data: Json, match: Any) -> None:
    word, after = match[1], seconds(match[2])
    if word == "cancelled":
        case["cancel"] = {"after": after, "reason": "enough"}
    elif word == "suspended":
        case["suspend"] = {"after": after}
    else:
        case["suspend"]["until"] = after


def arrived(case: Case, data: Json, match: Any) -> None:
    case["events"] = [timed(event) for event in data]


def requested(case: Case, data: Json, match: Any) -> None:
    case["made"] = [{"request": item} if isinstance(item, str) else item for item in data]


def waited(case: Case, data: Json, match: Any) -> None:
    case["waited"] = [seconds(each) for each in match[1].split(", ")]


def properties(case: Case, data: Json, match: Any) -> None:
    case.setdefault("properties", []).extend(re.findall(r"'([^']+)'", match[1]))


def valued(case: Case, data: Json, match: Any) -> None:
    case.setdefault("values", []).append((match[1], data))


def counted(case: Case, data: Json, match: Any) -> None:
    case.setdefault("items", []).append((match[1], int(match[2])))


def ran(case: Case, data: Json, match: Any) -> None:
    """(task, how, other task)"""
    case.setdefault("ran", []).append((*match.groups(), None)[:3])


def not_run(case: Case, data: Json, match: Any) -> None:
    case.setdefault("ran", []).append((match[1], "never", None))


def outcome(case: Case, data: Json, match: Any) -> None:
    case.setdefault("outcomes", []).append((match[1], OUTCOMES[match[2]]))


def another(case: Case, data: Json, match: Any) -> None:
    case.setdefault("workflows", []).append(data)


OUTCOMES = {"complete": "completed", "fault": "failed", "cancel": "cancelled"}
STEPS: list[tuple[str, Step]] = [
    # The kit's own.
    (r"a workflow with definition:", put("workflow")),
    (r"the workflow input is:", put("input")),
    (r"the workflow is executed", put("executed", True)),
    (r"the workflow should complete", ended("completed")),
    (r"the workflow should complete with output:", ended("completed", "output")),
    (r"the workflow should fault", ended("faulted")),
    (r"the workflow should fault with error:", ended("faulted", "fault")),
    (r"the workflow should cancel", ended("cancelled")),
    (r"the workflow output should have properties (.+)", properties),
    (r"the workflow output should have a '([^']+)' property with value:", valued),
    (r"the workflow output should have a '([^']+)' property containing (\d+) items", counted),
    (r"(\S+) should run (first|last)", ran),
    (r"(\S+) should run (before|after) (\S+)", ran),
    (r"(\S+) should (complete|fault|cancel)", outcome),
    # Ours.
    (r"another workflow with definition:", another),
    (r"the secrets are:", put("secrets")),
    (r"([A-Z]+ https://\S+) is answered with:", answered),
    (r"these events arrive:", arrived),
    (r"the workflow is (suspended|resumed|cancelled) after (\S+)", stopped),
    (r"the workflow should be waiting", ended("waiting")),
    (r"the workflow should be suspended", ended("suspended")),
    (r"the workflow should fault with an error containing:", ended("faulted", "error")),
    (r"(\S+) should not run", not_run),
    (r"the workflow should have waited (.+)", waited),
    (r"the workflow should not have waited", put("waited", [])),
    (r"these requests should have been made:", requested),
    (r"no request should have been made", put("made", [])),
    (r"these events should have been emitted:", put("emitted")),
]
