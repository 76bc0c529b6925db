"""Attributes that a document declares, and executions found by them through the admin endpoint and the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from flow import call, config, write
from running import Gateway, until
from service import Service
from stagedoor.cli import main

Start = Callable[..., Gateway]
WEB = {"x-api-key": "key-of-web-0123456789"}
Json = Any


def document(folder: Path) -> None:
    """``test/flow``: its order and its customer from the start, what was paid once it is."""
    pay = call("/pay") | {"metadata": {"stagedoor/attributes": {"paid": "${ $output.number }"}}}
    metadata = {"stagedoor/attributes": {"orderId": "${ .order }", "vip": "${ .vip }"}}
    write(folder, [{"pay": pay}, {"last": call("/hang")}], metadata=metadata)


def test_executions_are_found_by_their_attributes_also_across_a_restart(
    gateway: Start, service: Service, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    document(tmp_path)
    running = gateway(config(service.port))
    begin = datetime.now(UTC).isoformat()
    for number, path in ((16, "/flow"), (17, "/mine"), (18, "/flow")):
        asked = WEB | {"prefer": "respond-async"}
        assert running.request("POST", path, {"order": number, "vip": number == 17}, asked).status == 202

    def listed(*options: str) -> list[Json]:
        assert main(["executions", "list", "--json", "--admin", running.admin_url, *options]) == 0
        found: list[Json] = json.loads(capsys.readouterr().out)["executions"]
        return found

    until(lambda: len(listed("--attribute", "paid=1")) == 1)
    until(lambda: len(service.to("/hang")) == 3)
    [found] = listed("--attribute", "orderId=17")
    assert found["attributes"].items() >= {"orderId": 17, "vip": True}.items()
    assert (found["consumer"], found["ended"], found["incidents"]) == ("web", None, 0)
    assert listed("--attribute", "orderId=17", "--attribute", "vip=false") == []
    assert [each["attributes"]["orderId"] for each in listed("--attribute", "vip=false")] == [18, 16]
    assert [each["id"] for each in listed("--consumer", "web", "--status", "open")] == [found["id"]]
    assert len(listed("--workflow", "test/flow", "--version", "1.0.0", "--since", begin)) == 3
    assert listed("--until", begin) == listed("--since", "0s") == listed("--ended-since", "1h") == []
    assert len(listed("--no-incident", "--since", "PT1H")) == 3
    assert len(listed("--limit", "2")) == 2
    running.kill()
    service.release()
    running = gateway()
    until(lambda: len(listed("--attribute", "vip=false", "--status", "completed")) == 2)
    assert [each["id"] for each in listed("--ended-since", "1h", "--consumer", "web")] == [found["id"]]
    shown = running.admin(f"/executions/{found['id']}").json
    assert shown["attributes"] == listed("--attribute", "orderId=17")[0]["attributes"]
    assert main(["executions", "list", "--admin", running.admin_url, "--limit", "1"]) == 0
    text = capsys.readouterr().out
    assert "orderId" in text
    assert "older ones: --before" in text
    history = running.admin(f"/executions/{found['id']}/history").json
    (tmp_path / "history.json").write_text(json.dumps(history))
    assert [event["type"] for event in history["events"]].count("AttributesSet") == 2
    assert main(["replay", str(tmp_path / "history.json")]) == 0


@pytest.mark.parametrize(
    ("query", "says"),
    [
        ("version=1.0.0", "version goes with workflow"),
        ("attribute=x", "attribute is NAME=VALUE"),
        ("&".join(["attribute=a=1"] * 9), "more than 8 attributes"),
        ("started_from=yesterday", "started_from is a time such as"),
        ("ended_to=2027-01-01", "ended_to is a time such as"),
        ("incident=maybe", "incident is true or false"),
        ("status=open&status=running", "status is given twice"),
        ("ended_from=2027-01-01T00:00:00Z&before=x", "before is the next of a page of the same search"),
    ],
)
def test_a_search_that_is_none_says_why(query: str, says: str, shared: Gateway) -> None:
    answer = shared.admin(f"/executions?{query}")
    assert (answer.status, says in answer.json["detail"]) == (400, True)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """A gateway that nothing happens to."""
    folder = tmp_path_factory.mktemp("shared")
    document(folder)
    (folder / "stagedoor.yaml").write_text(config(9))
    running = Gateway(folder)
    yield running
    running.kill()


def test_a_time_that_is_none_is_told_before_anybody_is_asked(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["executions", "list", "--admin", "http://127.0.0.1:9", "--ended-since", "soon"]) == 1
    assert "--ended-since soon: expected 2027-01-31T00:00:00Z, or how long ago, such as 36h" in capsys.readouterr().err
    assert main(["executions", "list", "--admin", "http://127.0.0.1:9", "--limit", "0"]) == 1
    assert "--limit is a number from 1 on" in capsys.readouterr().err
