"""The public tests of HTTP caches (npm ``http-cache-tests``) against a gateway; their results are kept in
``docs/cache-tests.md``, which ``REGENERATE=1`` writes anew."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from running import Gateway

HERE = Path(__file__).parent
PACKAGE = HERE / "node_modules" / "http-cache-tests"
PAGE = HERE.parent.parent / "docs" / "cache-tests.md"
FLOOR = {"required": 150, "optimal": 77, "hard": 4}
"""Passed at least of those required and of those that are optimal; and at most so many hard failures."""

CONFIG = """
listeners: {{public: {{bind: "127.0.0.1:0", limits: {{head: 128KiB}}}}}}
clusters: {{tests: {{endpoints: ["http://127.0.0.1:{port}"], retry: {{attempts: 0}}, ejection: {{failures: 0}}}}}}
routes:
  test:
    match: {{path: "/test/{{rest...}}"}}
    policies:
      cache:
        heuristic: true
        set_cookies: true
        # What the tests' own service reads, and fields of theirs that responses vary by.
        forward: [req-num, test-id, test-name, foo, bar, baz, abc, other]
    target: {{cluster: tests}}
  rest: {{match: {{path: "/{{rest...}}"}}, target: {{cluster: tests}}}}
"""


@pytest.fixture
def service(tmp_path: Path) -> Iterator[int]:
    """The port of the tests' own service."""
    node = shutil.which("node")
    if node is None or not PACKAGE.exists():
        assert not os.environ.get("CI"), "node or http-cache-tests is missing"
        pytest.skip("node or http-cache-tests is not installed: make test-tools")
    environment = {
        "npm_config_protocol": "http",
        "npm_config_port": "0",
        "npm_config_pidfile": str(tmp_path / "service.pid"),
    }
    command = [node, "--no-warnings", "server/server.mjs"]
    with subprocess.Popen(command, cwd=PACKAGE, env=os.environ | environment, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        [port] = re.findall(rb":(\d+)/$", process.stdout.readline().strip())
        yield int(port)
        process.kill()


def test_the_public_tests_of_caches_pass_as_they_are_recorded(
    service: int, gateway: Callable[..., Gateway], tmp_path: Path
) -> None:
    running = gateway(CONFIG.format(port=service))
    address = next(iter(running.addresses["listeners"].values()))
    command = ["node", "--no-warnings", "run.mjs", f"http://{address}"]
    run = subprocess.run(command, cwd=HERE, capture_output=True, text=True, timeout=300, check=True)
    tests = [json.loads(line) for line in run.stdout.splitlines() if line.startswith('{"suite"')]
    count = Counter((test["kind"], test["outcome"]) for test in tests)
    reached = {
        "required": count["required", "pass"],
        "optimal": count["optimal", "pass"],
        "hard": count["required", "fail"],
    }
    page = filled(PAGE.read_text(), tests)
    if os.environ.get("REGENERATE"):
        PAGE.write_text(page)
    failed = [test for test in tests if test["outcome"] not in ("pass", "yes", "no")]
    assert reached["required"] >= FLOOR["required"], failed
    assert reached["optimal"] >= FLOOR["optimal"], failed
    assert reached["hard"] <= FLOOR["hard"], failed
    assert page == PAGE.read_text(), "REGENERATE=1 writes the results anew"


def filled(text: str, tests: list[dict[str, Any]]) -> str:
    """The page with these results in it."""
    # Behaviours that are told without a judgement depend on the moment, some of them.
    kinds = ("required", "optimal")
    good = {"pass", "yes"}
    rows = ["| tests | required | optimal |", "|---|---|---|"]
    for suite in [*dict.fromkeys(test["suite"] for test in tests), "all"]:
        mine = [test for test in tests if suite in ("all", test["suite"])]
        cells = []
        for kind in kinds:
            outcomes = [test["outcome"] for test in mine if test["kind"] == kind]
            cells.append(f"{sum(each in good for each in outcomes)} of {len(outcomes)}" if outcomes else "")
        if any(cells):
            rows.append(f"| {suite} | {' | '.join(cells)} |")
    left = ["| test | kind | outcome |", "|---|---|---|"]
    left += [
        f"| `{test['id']}` | {test['kind']} | {test['outcome']} |"
        for test in tests
        if test["kind"] != "check" and test["outcome"] not in good
    ]
    for name, lines in (("results", rows), ("left", left)):
        mark = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        assert mark.search(text)
        text = mark.sub(lambda match, lines=lines: match[1] + "\n".join(lines) + "\n" + match[2], text)  # type: ignore[misc]
    return text
