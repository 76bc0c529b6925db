"""Executions that have not ended go on by another version, where that leads to where they stand."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from http.client import HTTPException
from pathlib import Path
from typing import Any

import flow
import pytest
from doors import begin, ended
from flow import call, config
from running import Gateway, until
from service import Service
from stagedoor.cli import main

Start = Callable[..., Gateway]
Json = Any


def write(folder: Path, version: str, do: list[Json], **attributes: Json) -> None:
    """``test/flow`` in this version from now on."""
    metadata = {"metadata": {"stagedoor/attributes": attributes}} if attributes else {}
    flow.write(folder, do, version=version, **metadata)


def migrate(running: Gateway, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, list[Json]]:
    code = main(["executions", "migrate", *words, "--admin", running.admin_url, "--json"])
    return code, json.loads(capsys.readouterr().out)["executions"]


def test_executions_go_on_by_the_new_version_also_after_a_restart(
    gateway: Start, service: Service, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, "1.0.0", [{"a": call("/a")}, {"b": call("/hang")}, {"c": call("/old")}])
    running = gateway(config(service.port))
    one, other = begin(running, "flow"), begin(running, "flow")
    until(lambda: len(service.to("/hang")) == 2)
    running.kill()
    write(tmp_path, "2.0.0", [{"a": call("/a")}, {"b": call("/hang")}, {"n": call("/new")}], number="${ .n // 7 }")
    running = gateway()
    words = ("--to", "2.0.0", "--reason", "the old service is gone", "--by", "ann")
    code, [told] = migrate(running, capsys, one, "--to", "2.0.0", "--dry-run")
    assert (code, told["status"], told["from"]["version"], told["to"]["version"]) == (0, "possible", "1.0.0", "2.0.0")
    assert running.admin(f"/executions/{one}").json["version"] == "1.0.0"
    assert migrate(running, capsys, one, *words)[1][0]["status"] == "migrated"
    running.kill()
    running = gateway()
    # This one's call is on its way while it is migrated.
    until(lambda: len(service.to("/hang")) == 6)
    assert migrate(running, capsys, other, *words)[0] == 0
    service.release()
    for id in (one, other):
        shown = ended(running, id)
        assert (shown["status"], shown["version"], shown["output"]["path"]) == ("completed", "2.0.0", "/new")
        [migration] = shown["migrations"]
        assert (migration["by"], migration["reason"]) == ("ann", "the old service is gone")
        (tmp_path / "history.json").write_text(json.dumps(running.admin(f"/executions/{id}/history").json))
        assert main(["replay", str(tmp_path / "history.json")]) == 0
    assert service.to("/old") == []
    assert len({seen.key for seen in service.to("/hang")}) == 2
    found = running.admin("/executions?workflow=test/flow&version=2.0.0&attribute=number=7").json["executions"]
    assert {each["id"] for each in found} == {one, other}
    capsys.readouterr()
    assert main(["executions", "show", one, "--admin", running.admin_url]) == 0
    assert "to version 2.0.0 by ann: the old service is gone" in capsys.readouterr().out


def test_all_of_a_version_are_tried_before_one_is_migrated(
    gateway: Start, service: Service, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    early = {"if": "${ .early == true }", **call("/hang/early")}
    write(
        tmp_path, "1.0.0", [{"early": early}, {"mid": call("/b")}, {"late": call("/hang/late")}, {"last": call("/e")}]
    )
    running = gateway(config(service.port))
    first, second = begin(running, "flow", {"early": True}), begin(running, "flow", {"early": True})
    past = begin(running, "flow")
    until(lambda: len(service.to("/hang")) == 3)
    running.kill()
    write(tmp_path, "2.0.0", [{"early": early}, {"mid": call("/n")}, {"late": call("/hang/late")}])
    running = gateway()
    chosen = ("--workflow", "test/flow", "--from", "1.0.0", "--to", "latest", "--reason", "better", "--by", "ann")
    code, told = migrate(running, capsys, *chosen)
    assert (code, {each["execution"]: each["status"] for each in told}) == (
        1,
        {first: "possible", second: "possible", past: "refused"},
    )
    [says] = [each["detail"] for each in told if "detail" in each]
    assert (
        "version 2.0.0 goes another way: after event 1 (ExecutionStarted) it would ask for the call /do/1/mid" in says
    )
    assert {running.admin(f"/executions/{id}").json["version"] for id in (first, second, past)} == {"1.0.0"}
    assert main(["executions", "migrate", *chosen, "--admin", running.admin_url]) == 1
    assert "none was: --partly migrates those that can be" in capsys.readouterr().out
    code, told = migrate(running, capsys, *chosen, "--partly")
    assert (code, sorted(each["status"] for each in told)) == (1, ["migrated", "migrated", "refused"])
    service.release()
    assert [ended(running, id)["version"] for id in (first, second, past)] == ["2.0.0", "2.0.0", "1.0.0"]
    assert (len(service.to("/n")), len(service.to("/b")), len(service.to("/e"))) == (2, 1, 1)


def test_what_waits_goes_by_the_new_versions_time_and_cannot_be_migrated_twice(
    gateway: Start, service: Service, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path, "1.0.0", [{"a": call("/a")}, {"pause": {"wait": "PT1H"}}, {"b": call("/b")}])
    running = gateway(config(service.port))
    one, held = begin(running, "flow"), begin(running, "flow")
    until(lambda: len(running.admin("/executions?status=open").json["executions"]) == 2 and len(service.to("/a")) == 2)
    words = {"reason": "look first", "by": "ann"}
    until(lambda: running.admin(f"/executions/{held}").json["status"] == "waiting")
    assert running.admin(f"/executions/{held}/suspend", "POST", words).status == 202
    until(lambda: running.admin(f"/executions/{held}").json["status"] == "suspended")
    running.kill()
    write(tmp_path, "2.0.0", [{"a": call("/a")}, {"pause": {"wait": "PT0.1S"}}, {"b": call("/b")}])
    # Gone as soon as the migration is in the log: by that, it was migrated.
    running = gateway(environment={"STAGEDOOR_CRASH_AFTER_EVENT": "1"})
    with contextlib.suppress(OSError, HTTPException):
        running.admin(f"/executions/{one}/migrate", "POST", {"to": "2.0.0", **words})
    assert running.process.wait(30) == 137
    running = gateway()
    assert ended(running, one)["version"] == "2.0.0"
    with ThreadPoolExecutor(4) as threads:
        ask = partial(running.admin, f"/executions/{held}/migrate", "POST", {"to": "2.0.0", **words})
        answers = [each.result() for each in [threads.submit(ask) for _ in range(4)]]
    assert sorted(each.status for each in answers) == [200, 409, 409, 409], [each.json for each in answers]
    assert running.admin(f"/executions/{held}").json["status"] == "suspended"
    assert len(service.to("/b")) == 1
    assert running.admin(f"/executions/{held}/resume", "POST", words).status == 202
    assert ended(running, held)["version"] == "2.0.0"
    says = {
        one: "it has ended: it is completed",
        "nothing": "there is no such execution",
    }
    for id, text in says.items():
        code, [told] = migrate(running, capsys, id, "--to", "2.0.0", "--reason", "x")
        assert (code, text in told["detail"]) == (1, True), told


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--to", "2.0.0", "--reason", "x"], "say which: ID, or --workflow and --from"),
        (["e1", "--workflow", "a/b", "--from", "1", "--to", "2", "--reason", "x"], "say which"),
        (["--workflow", "a/b", "--to", "2", "--reason", "x"], "say which"),
        (["e1", "--to", "2"], "--reason is needed, or --dry-run"),
    ],
)
def test_half_a_command_is_told_what_is_missing(
    words: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["executions", "migrate", *words, "--admin", "http://127.0.0.1:9"]) == 1
    assert says in capsys.readouterr().err
