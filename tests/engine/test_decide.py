"""Operators' words on the command line, one by one and all at once: each is taken once, or refused and told why."""

from __future__ import annotations

import http.client
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import quote

import pytest
from doors import begin as begun
from doors import doors, ended, shown
from flow import call, undo, write
from running import Gateway, until
from service import Service
from stagedoor.cli import main

Json = Any
Say = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with Service() as running:
        yield running


@pytest.fixture(scope="module")
def running(service: Service, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """A gateway with a workflow for each thing that an operator may meet."""
    folder = tmp_path_factory.mktemp("decide")
    never = {"delay": {"milliseconds": 1}, "limit": {"attempt": {"count": 1}}}
    stuck = call("/a") | {"metadata": {"stagedoor/compensate": {"use": "undo", "retry": never}}}
    flow = [{"a": call("/a", undo="done")}, {"pause": {"wait": "PT0.3S"}}, {"b": call("/b")}]
    write(folder, flow, {"done": undo("/undo")}, name="flow")
    write(folder, [flow[0], {"pause": {"wait": "PT3S"}}, flow[2]], {"done": undo("/undo")}, name="held")
    write(folder, [{"a": call("/a", undo="done")}, {"pause": {"wait": "P1D"}}], {"done": undo("/undo")}, name="long")
    write(folder, [{"a": stuck}, {"b": call("/status/402")}], {"undo": undo("/status/503")}, name="stuck")
    again = {"delay": {"milliseconds": 20}, "limit": {"attempt": {"count": 1000}}}
    tries = {"try": [{"b": call("/status/500")}], "catch": {"retry": again}}
    write(folder, [{"a": call("/a", undo="done")}, {"tries": tries}], {"done": undo("/undo")}, name="tries")
    write(folder, [{"a": call("/a", undo="slow")}, {"b": call("/status/402")}], {"slow": undo("/hang")}, name="slow")
    (folder / "stagedoor.yaml").write_text(doors(["flow", "held", "stuck", "tries", "slow", "long"], service.port))
    gateway = Gateway(folder)
    yield gateway
    gateway.kill()


@pytest.fixture
def say(running: Gateway, capsys: pytest.CaptureFixture[str]) -> Say:
    """``stagedoor executions …``: its exit code, and what it says."""

    def ask(verb: str, id: str, *words: str, by: str = "ann", reason: str = "why") -> tuple[int, str]:
        capsys.readouterr()
        options = () if verb == "show" else ("--by", by, "--reason", reason)
        code = main(["executions", verb, id, *words, *options, "--admin", running.admin_url])
        told = capsys.readouterr()
        return code, told.out + told.err

    return ask


def begin(running: Gateway, name: str, *statuses: str) -> str:
    """An execution's id, once it has one of these statuses."""
    id = begun(running, name)
    until(lambda: shown(running, id)["status"] in statuses)
    return id


def stuck(running: Gateway) -> tuple[str, Json]:
    """An execution that waits for a decision, and the incident."""
    id = begin(running, "stuck", "suspended")
    [incident] = until(lambda: shown(running, id)["incidents"])
    return id, incident


def test_an_execution_is_held_and_goes_on(running: Gateway, say: Say) -> None:
    id = begin(running, "held", "waiting", "running")
    assert say("suspend", id, reason="look first") == (0, f"{id} is being suspended\n")
    code, told = say("suspend", id, by="bob")
    assert (code, "ann has suspended it already: look first" in told) == (1, True)
    until(lambda: "ann suspended it: look first" in say("show", id)[1])
    # Its timer fires meanwhile, and nothing begins.
    until(lambda: [each["outcome"] for each in shown(running, id)["timeline"]][-1] == "completed")
    assert shown(running, id)["status"] == "suspended"
    assert say("resume", id, by="bob") == (0, f"{id} is being resumed\n")
    code, told = say("resume", id)
    assert (code, "it is not suspended" in told or "it has ended" in told) == (1, True)
    assert ended(running, id)["status"] == "completed"
    for verb in ("suspend", "resume", "cancel"):
        code, told = say(verb, id)
        assert (code, "it has ended: it is completed" in told) == (1, True)
        assert "there is no such execution" in say(verb, "nothing")[1]


def test_what_waits_for_a_decision_is_not_resumed_by_another_word(running: Gateway, say: Say) -> None:
    id, incident = stuck(running)
    code, told = say("resume", id)
    assert (code, f"nobody has suspended it: it waits for a decision on {incident['id']}" in told) == (1, True)
    for verb in ("suspend", "cancel"):
        assert "it has failed or was cancelled, and what it did is being undone" in say(verb, id)[1]
    assert say("done", id, by="ann")[0] == 0
    assert ended(running, id)["incidents"][0]["resolved"]["action"] == "done"


def test_what_is_parked_is_held_and_cancelled_like_any_other(running: Gateway, service: Service, say: Say) -> None:
    before = len(service.to("/undo"))
    id = begin(running, "long", "waiting")
    until(lambda: "stagedoor_executions_parked 1\n" in running.metrics())
    assert say("suspend", id)[0] == 0
    until(lambda: shown(running, id)["status"] == "suspended")
    assert "ann has suspended it already" in say("suspend", id)[1]
    assert say("cancel", id)[0] == 0
    assert (ended(running, id)["status"], len(service.to("/undo"))) == ("cancelled", before + 1)


def race(running: Gateway, id: str, words: list[tuple[str, Json]]) -> list[Json]:
    """All at once; the answers, in the order of the words."""

    def ask(word: tuple[str, Json]) -> Json:
        path, more = word
        return running.admin(f"/executions/{id}/{path}", "POST", {"reason": "race", "by": "ann", **more})

    with ThreadPoolExecutor(len(words)) as threads:
        return list(threads.map(ask, words))


def test_of_many_decisions_on_an_incident_one_is_taken(running: Gateway) -> None:
    for _ in range(5):
        id, incident = stuck(running)
        path = f"incidents/{incident['id'].replace('#', '%23')}"
        words = [(path, {"action": action, "by": action}) for action in ("skip", "done", "skip", "done")]
        answers = race(running, id, words)
        assert Counter(each.status for each in answers) == {202: 1, 409: 3}
        [taken] = [word["action"] for (_, word), each in zip(words, answers, strict=True) if each.status == 202]
        told = {each.json["detail"] for each in answers if each.status == 409}
        # Those who came after the end are told that.
        assert told <= {f"{taken} has decided on it already: {taken}", f"{taken} has decided on it already"} | {
            "it has ended",
            "it has ended: it is faulted",
        }
        found = ended(running, id)
        assert (found["incidents"][0]["resolved"]["action"], found["incidents"][0]["resolved"]["by"]) == (taken, taken)
        [entry] = found["error"]["compensation"]["entries"]
        assert entry["status"] == {"skip": "skipped", "done": "done"}[taken]


def test_a_cancel_and_a_retry_at_once_undo_once(running: Gateway, service: Service) -> None:
    for _ in range(5):
        before = len(service.to("/undo"))
        id = begin(running, "tries", "waiting", "running")
        until(lambda id=id: sum(each["name"] == "b" for each in shown(running, id)["timeline"]) > 2)
        answers = race(running, id, [("cancel", {}), ("suspend", {}), ("cancel", {}), ("resume", {}), ("cancel", {})])
        cancels = [answers[index] for index in (0, 2, 4)]
        assert sorted(each.status for each in cancels) == [202, 409, 409]
        found = ended(running, id)
        assert (found["status"], found["error"]["detail"]) == ("cancelled", "race")
        assert found["error"]["compensation"]["status"] == "complete"
        assert len(service.to("/undo")) == before + 1
        history = running.admin(f"/executions/{id}/history").json["events"]
        assert sum(each["type"] == "CancelRequested" for each in history) == 1


def holds(running: Gateway, id: str) -> list[str]:
    history = running.admin(f"/executions/{id}/history").json["events"]
    return [each["type"] for each in history if each["type"] in ("SuspendRequested", "ResumeRequested")]


def test_of_a_suspend_and_a_resume_at_once_the_later_counts(running: Gateway) -> None:
    for _ in range(5):
        id = begin(running, "flow", "waiting", "running")
        asked = [("suspend", {}), ("resume", {}), ("suspend", {}), ("resume", {}), ("suspend", {})]
        count = sum(each.status == 202 for each in race(running, id, asked))
        words = until(lambda id=id, count=count: len(found := holds(running, id)) == count and found)
        # Each word that was taken changed something.
        assert words == [("SuspendRequested", "ResumeRequested")[index % 2] for index in range(count)]
        if words[-1] == "SuspendRequested":
            until(lambda id=id: shown(running, id)["status"] == "suspended")
            assert running.admin(f"/executions/{id}/resume", "POST", {"reason": "on", "by": "bob"}).status == 202
        assert ended(running, id)["status"] == "completed"


def test_what_is_undone_cannot_be_held_up(running: Gateway, service: Service, say: Say) -> None:
    id = begun(running, "slow")
    service.await_request("/hang")
    for verb in ("suspend", "cancel"):
        code, told = say(verb, id)
        assert (code, "what it did is being undone" in told) == (1, True)
    service.release()
    assert ended(running, id)["status"] == "faulted"


@pytest.mark.parametrize("arguments", ["NaN", "1e999", '"\\ud800"', "[" * 5000 + "]" * 5000], ids=lambda text: text[:9])
def test_arguments_that_nothing_can_hold_are_refused_and_the_incident_stays_open(
    running: Gateway, say: Say, arguments: str
) -> None:
    id, incident = stuck(running)
    body = f'{{"action": "edit", "by": "ann", "reason": "why", "arguments": {arguments}}}'
    connection = http.client.HTTPConnection(running.addresses["admin"], timeout=60)
    headers = {"content-type": "application/json"}
    connection.request("POST", f"/executions/{id}/incidents/{quote(incident['id'], safe='')}", body, headers)
    answer = connection.getresponse()
    assert (answer.status, b"the body is not JSON" in answer.read()) == (400, True)
    connection.close()
    assert say("done", id)[0] == 0
    assert ended(running, id)["status"] == "faulted"
