"""The commands as a user runs them: real processes."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest

FILE = """\
listeners: {public: {bind: "127.0.0.1:0"}}
workers: 1
consumers: {web: {api_keys: ["${env:WEB_KEY}"]}}
clusters:
  inventory: {endpoints: ["http://127.0.0.1:9101"]}
routes:
  items:
    match: {path: "/v1/items/{id}", methods: [GET]}
    policies: {authenticate: {any: [api_key]}}
    target: {cluster: inventory, path: "/items/{id}"}
  all:
    match: {path: "/{rest...}"}
    target: {response: {status: 204}}
"""
KEY = "s3cret-k3y"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "stagedoor.yaml").write_text(FILE)
    return tmp_path


def stagedoor(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "stagedoor", *arguments]
    done = subprocess.run(
        command, cwd=folder, env=os.environ | {"WEB_KEY": KEY}, capture_output=True, text=True, timeout=60, check=False
    )
    assert "Traceback" not in done.stderr
    assert KEY not in done.stdout + done.stderr
    return done


def test_check_of_a_right_file_says_so(folder: Path) -> None:
    done = stagedoor(folder, "check")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "stagedoor.yaml: right: 2 routes, 1 cluster, 0 workflows, 0 warnings\n"


def test_check_tells_errors_on_stderr_and_ends_with_1(folder: Path) -> None:
    (folder / "bad.yaml").write_text(FILE.replace("cluster: inventory", "cluser: inventory").replace("any:", "some:"))
    done = stagedoor(folder, "check", "bad.yaml")
    assert done.returncode == 1
    lines = done.stderr.splitlines()
    assert lines[0].startswith("bad.yaml:9:31: routes.items.policies.authenticate.some: unknown key")
    assert lines[-1].startswith("bad.yaml:10:5: routes.items.target: expected one of")


def test_check_with_json_tells_the_same_to_programs(folder: Path) -> None:
    (folder / "bad.yaml").write_text(FILE.replace("cluster: inventory", "cluster: inventry"))
    done = stagedoor(folder, "check", "bad.yaml", "--json")
    assert done.returncode == 1
    told = json.loads(done.stdout)
    assert (told["valid"], told["errors"], told["warnings"]) == (False, 1, 0)
    assert told["problems"] == [
        {
            "file": "bad.yaml",
            "line": 10,
            "column": 14,
            "path": ["routes", "items", "target", "cluster"],
            "severity": "error",
            "message": "there is no cluster 'inventry'",
            "hint": "did you mean 'inventory'?",
        }
    ]


def on_a_terminal(folder: Path, *arguments: str) -> str:
    """What a person sees."""
    ours, theirs = pty.openpty()
    environment = os.environ | {"WEB_KEY": KEY, "TERM": "dumb", "NO_COLOR": "1"}
    command = [sys.executable, "-m", "stagedoor", *arguments]
    with subprocess.Popen(command, cwd=folder, env=environment, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        seen = b""
        while True:
            try:
                piece = os.read(ours, 65536)
            except OSError:
                break
            if not piece:
                break
            seen += piece
        process.wait(timeout=60)
    os.close(ours)
    return seen.decode().replace("\r\n", "\n")


def test_on_a_terminal_the_line_follows_with_a_caret(folder: Path) -> None:
    (folder / "bad.yaml").write_text(FILE.replace("cluster: inventory", "cluster: inventry"))
    seen = on_a_terminal(folder, "check", "bad.yaml")
    assert '\n      target: {cluster: inventry, path: "/items/{id}"}\n               ^\n' in seen


def test_a_line_that_may_hold_a_secret_is_not_shown(folder: Path) -> None:
    (folder / "bad.yaml").write_text(FILE.replace('["${env:WEB_KEY}"]', f'["{KEY}"], colour: red'))
    seen = on_a_terminal(folder, "check", "bad.yaml")
    assert "consumers.web.colour: unknown key" in seen
    assert KEY not in seen
    (folder / "bad.yaml").write_text(FILE.replace('["${env:WEB_KEY}"]', f'["{KEY}]'))
    seen = on_a_terminal(folder, "check", "bad.yaml")
    assert "not YAML" in seen
    assert KEY not in seen


def test_routes_come_in_precedence_order(folder: Path) -> None:
    done = stagedoor(folder, "routes")
    assert done.returncode == 0
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["ROUTE", "items", "all"]
    assert [route["route"] for route in json.loads(stagedoor(folder, "routes", "--json").stdout)] == ["items", "all"]


def test_explain_tells_the_route_its_policies_and_where_it_leads(folder: Path) -> None:
    done = stagedoor(folder, "explain", "GET", "/v1/items/5", "-H", "host: a.example")
    assert done.returncode == 0
    assert done.stdout.startswith("GET a.example/v1/items/5 is answered by the route items\n")
    assert "leads to cluster inventory at /items/{id}\n  127.0.0.1:9101" in done.stdout
    told = json.loads(stagedoor(folder, "explain", "GET", "/v1/items/5", "--json").stdout)
    assert told["params"] == {"id": "5"}
    assert [each["policy"] for each in told["policies"]] == ["limits", "authenticate"]
    assert [each["decision"] for each in told["decisions"]] == ["passes", "refused"]


def test_explain_tells_what_the_policies_decide_and_no_secret(folder: Path) -> None:
    ask = ("explain", "GET", "/v1/items/5", "--from", "192.0.2.7", "-H", f"x-api-key: {KEY}")
    done = stagedoor(folder, *ask)
    assert re.search(r"^authenticate +passes +the consumer is 'web'", done.stdout, re.MULTILINE)
    assert "the consumer is web (" in done.stdout
    assert KEY not in done.stdout + stagedoor(folder, *ask, "--json").stdout
    assert "401" in stagedoor(folder, "explain", "GET", "/v1/items/5").stdout
    assert "not an address" in stagedoor(folder, "explain", "GET", "/v1/items/5", "--from", "here").stderr


def test_explain_tells_the_plan_of_an_aggregate(folder: Path) -> None:
    (folder / "aggregate.yaml").write_text("""
listeners: {public: {bind: "127.0.0.1:0"}}
clusters: {shop: {endpoints: ["http://127.0.0.1:9101"]}}
routes:
  page:
    match: {path: /page}
    target:
      aggregate:
        orders: {cluster: shop, path: /orders}
        items: {cluster: shop, path: "/items/{item}", after: [orders], each: "${ .answers.orders }", optional: true}
      timeout: 5s
""")
    done = stagedoor(folder, "explain", "GET", "/page", "-f", "aggregate.yaml")
    assert done.returncode == 0, done.stderr
    assert "leads to aggregate of orders, items, within 5s" in done.stdout
    assert "GET /orders of shop" in done.stdout
    assert "after orders, for each of ${ .answers.orders }, 8 at once, at most 100, optional" in done.stdout


def test_explain_ends_with_1_where_no_route_answers(folder: Path) -> None:
    (folder / "one.yaml").write_text(FILE.replace("/{rest...}", "/other"))
    assert stagedoor(folder, "explain", "GET", "/nothing", "-f", "one.yaml").returncode == 1
    done = stagedoor(folder, "explain", "DELETE", "/v1/items/5", "-f", "one.yaml")
    assert done.returncode == 1
    assert "405" in done.stdout


@pytest.mark.parametrize("arguments", [(), ("chekc",), ("explain", "GET"), ("explain", "GET", "/", "-H", "x")])
def test_a_wrong_command_line_ends_with_2(folder: Path, arguments: tuple[str, ...]) -> None:
    done = stagedoor(folder, *arguments)
    assert done.returncode == 2
    assert done.stderr


def test_a_file_that_is_not_there_is_an_error_without_a_traceback(folder: Path) -> None:
    for command in (("check", "no.yaml"), ("routes", "no.yaml"), ("explain", "GET", "/", "-f", "no.yaml")):
        done = stagedoor(folder, *command)
        assert done.returncode == 1
        assert done.stderr == "no.yaml:1:1: the file 'no.yaml' cannot be read: No such file or directory\n"


def test_schema_prints_json(folder: Path) -> None:
    assert json.loads(stagedoor(folder, "schema").stdout)["title"] == "stagedoor.yaml"
