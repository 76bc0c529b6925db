"""Workflows, scripts and shell commands that workflows run, through the front door."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flow import call, config, undo, write
from running import Gateway, until
from service import Service

NODE = shutil.which("node")
Start = Callable[..., Gateway]
CHILD = {"run": {"workflow": {"namespace": "test", "name": "child", "version": "1.0.0", "input": "${ . }"}}}
ROUTES = """
  shell: {match: {path: /shell}, target: {workflow: test/shell, input: "${ .body }", wait: 20s}}
  script: {match: {path: /script}, target: {workflow: test/script, input: "${ .body }", wait: 20s}}
"""


def with_runs(service: Service) -> str:
    limits = "output: 4KiB, memory: 1GiB"
    extra = (
        "engine: {run: {"
        f"shell: {{workflows: [test/shell], time: 1500ms, {limits}}}, "
        f"script: {{workflows: [test/script], python: {sys.executable}, {limits}}}}}}}"
    )
    whole = config(service.port, extra=extra)
    flow, direct = whole.index("  flow:"), whole.index("  direct:")
    return whole[:flow] + ROUTES + whole[direct:]


def ended(running: Gateway, location: str) -> Any:
    ends = ("completed", "faulted", "cancelled")
    return until(lambda: (found := running.request("GET", location).json)["status"] in ends and found)


def test_a_child_is_an_execution_of_its_own_and_survives_a_crash(
    gateway: Start, service: Service, tmp_path: Path
) -> None:
    write(tmp_path, [{"run": CHILD}, {"after": call("/after")}])
    write(tmp_path, [{"slow": call("/hang")}], name="child")
    running = gateway(config(service.port))
    location = running.request("POST", "/flow", {"n": 1}, {"prefer": "respond-async"}).headers["location"]
    service.await_request("/hang")
    until(lambda: running.request("GET", location).json["status"] == "waiting")
    children = running.admin("/executions?workflow=test/child").json["executions"]
    assert [child["status"] for child in children] == ["running"]
    running.kill()
    service.release()
    running = gateway()
    assert ended(running, location)["output"]["path"] == "/after"
    assert len(running.admin("/executions?workflow=test/child").json["executions"]) == 1
    assert len({seen.key for seen in service.to("/hang")}) == 1
    assert service.to("/hang")[0].json == {"n": 1}


def test_cancelling_and_failing_pass_between_parent_and_child(gateway: Start, service: Service, tmp_path: Path) -> None:
    write(tmp_path, [{"first": call("/first", undo="undo")}, {"run": CHILD}], {"undo": undo("/undo")})
    child = [{"own": call("/own", undo="undo")}, {"next": call("/status/409")}]
    write(tmp_path, child, {"undo": undo("/undo-own")}, name="child")
    running = gateway(config(service.port))
    location = running.request("POST", "/flow", {}, {"prefer": "respond-async"}).headers["location"]
    failed = ended(running, location)["error"]
    assert (failed["status"], failed["instance"]) == (409, "/do/1/run")
    write(tmp_path, [{"own": call("/own", undo="undo")}, {"w": {"wait": "PT1H"}}], {"undo": undo("/undo-own")}, "child")
    running.end()
    running = gateway()
    service.requests.clear()
    location = running.request("POST", "/flow", {}, {"prefer": "respond-async"}).headers["location"]
    until(lambda: any(each["status"] == "waiting" for each in executions(running, "test/child")))
    id = location.rpartition("/")[2]
    running.admin(f"/executions/{id}/cancel", "POST", {"reason": "enough", "by": "ann"})
    assert ended(running, location)["status"] == "cancelled"
    assert {each["status"] for each in executions(running, "test/child")} == {"faulted", "cancelled"}
    order = [seen.path for seen in service.requests]
    assert order == ["/first", "/own", "/undo-own", "/undo"]


def executions(running: Gateway, workflow: str) -> Any:
    return running.admin(f"/executions?workflow={workflow}").json["executions"]


def test_a_workflow_that_runs_itself_comes_to_an_end(gateway: Start, service: Service, tmp_path: Path) -> None:
    own = {"namespace": "test", "name": "flow", "version": "latest"}
    write(tmp_path, [{"again": {"run": {"workflow": own}}}])
    running = gateway(config(service.port))
    answer = running.request("POST", "/flow", {})
    assert (answer.status, answer.json["detail"]) == (500, "more than 16 executions run each other")
    assert len(executions(running, "test/flow")) == 17


def test_processes_get_what_they_are_given_and_nothing_else(gateway: Start, service: Service, tmp_path: Path) -> None:
    command = 'input=$(cat); echo "$input $1 $WHO"; env | cut -d= -f1 | sort | tr "\\n" " "'
    shell = {"stdin": "${ .text }", "command": command, "arguments": ["${ .n }"], "environment": {"WHO": "ann"}}
    write(tmp_path, [{"a": {"run": {"shell": shell}}}], name="shell")
    code = "import sys, json, os\nprint(json.dumps([sys.argv[1:], sys.stdin.read(), os.environ['K']]))\nsys.exit(3)"
    script = {
        "language": "python",
        "code": code,
        "arguments": ["$(id)"],
        "environment": {"K": 5},
        "stdin": "${ .text }",
    }
    write(tmp_path, [{"a": {"run": {"return": "all", "script": script}}}], name="script")
    running = gateway(with_runs(service))
    answer = running.request("POST", "/shell", {"text": "hello; rm -rf /", "n": 1})
    first, names = answer.json.split("\n", 1)
    assert first == "hello; rm -rf / 1 ann"
    assert set(names.split()) - {"_", "SHLVL", "OLDPWD"} == {
        *("HOME", "LANG", "PATH", "PWD", "STAGEDOOR_IDEMPOTENCY_KEY", "WHO")
    }
    answer = running.request("POST", "/script", {"text": "x"})
    assert answer.json == {"code": 3, "stdout": '[["$(id)"], "x", "5"]\n', "stderr": ""}


@pytest.mark.skipif(NODE is None, reason="node is not here (make test-tools)")
def test_scripts_in_javascript_take_and_give_the_same_within_their_memory(
    gateway: Start, service: Service, tmp_path: Path
) -> None:
    code = (
        "import {env, argv, stdin, exit} from 'node:process';\n"
        "let text = ''; for await (const part of stdin) text += part;\n"
        "if (text === 'greedy') for (const all = [];;) all.push(Buffer.alloc(1 << 24, 1));\n"
        "console.log(JSON.stringify([argv.slice(2), text, env.K])); console.error('said'); exit(3);"
    )
    script = {
        "language": "javascript",
        "code": code,
        "arguments": ["$(id)"],
        "environment": {"K": 5},
        "stdin": "${ .text }",
    }
    write(tmp_path, [{"a": {"run": {"return": "all", "script": script}}}], name="script")
    write(tmp_path, [{"nothing": {"set": {"n": 1}}}], name="shell")
    # The memory is the default.
    whole = with_runs(service).replace(f"python: {sys.executable}, output: 4KiB, memory: 1GiB", f"js: {NODE}")
    running = gateway(whole)
    answer = running.request("POST", "/script", {"text": "x"})
    assert answer.json == {"code": 3, "stdout": '[["$(id)"],"x","5"]\n', "stderr": "said\n"}, running.log
    greedy = running.request("POST", "/script", {"text": "greedy"}).json
    assert (greedy["stdout"], greedy["code"] != 0) == ("", True), greedy


def test_scripts_and_schemas_may_stand_in_files(gateway: Start, service: Service, tmp_path: Path) -> None:
    (tmp_path / "double.py").write_text("import sys\nprint(int(sys.argv[1]) * 2)\n")
    (tmp_path / "number.json").write_text('{"type": "object", "properties": {"n": {"maximum": 9}}}')
    script = {"language": "python", "source": {"endpoint": "double.py"}, "arguments": ["${ .n }"]}
    schema = {"schema": {"resource": {"endpoint": "number.json"}}}
    write(tmp_path, [{"a": {"input": schema, "run": {"script": script}}}], name="script")
    write(tmp_path, [{"nothing": {"set": {"n": 1}}}], name="shell")
    running = gateway(with_runs(service))
    assert running.request("POST", "/script", {"n": 4}).json == "8\n"
    refused = running.request("POST", "/script", {"n": 10})
    assert (refused.status, refused.json["detail"]) == (400, "/n must be at most 9")


def test_a_process_over_its_bounds_is_ended_with_all_that_it_began(
    gateway: Start, service: Service, tmp_path: Path
) -> None:
    tasks = {
        "loud": "yes",
        "slow": f"(sleep 1000; echo > {tmp_path}/late) & echo $! > {tmp_path}/child; sleep 1000",
        "wrong": "echo no >&2; exit 4",
        "large": f"head -c 100000 /dev/zero > {tmp_path}/large",
    }
    cases = [{name: {"when": f'.what == "{name}"', "then": name}} for name in tasks]
    do: list[Any] = [{"choose": {"switch": cases}}]
    do += [{name: {"run": {"shell": {"command": command}}, "then": "end"}} for name, command in tasks.items()]
    write(tmp_path, do, name="shell")
    write(tmp_path, [{"nothing": {"set": {"n": 1}}}], name="script")
    running = gateway(with_runs(service))
    for what, status, title, detail in (
        ("loud", 500, "Too much output", "more than 4096 bytes"),
        ("slow", 408, "The process took too long", "longer than 1.5 s"),
        ("wrong", 500, "The process failed", "it ended with 4: no"),
        ("large", 500, "The process failed", ""),
    ):
        answer = running.request("POST", "/shell", {"what": what})
        assert (answer.status, answer.json["title"]) == (status, title), answer
        assert detail in answer.json["detail"]
    child = (tmp_path / "child").read_text().strip()
    until(lambda: not Path(f"/proc/{child}").exists())
    assert (tmp_path / "large").stat().st_size == 4096
