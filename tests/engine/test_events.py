"""Events through the admin endpoint and from workflows: to listeners, to the sink, across restarts."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

from flow import call, config, undo, write
from running import Answer, Gateway, request, until
from service import Service

Start = Callable[..., Gateway]
BATCH = "application/cloudevents-batch+json"
PAID = {"listen": {"to": {"one": {"with": {"type": "paid"}}}}}


def mine(**correlate: Any) -> Any:
    """A listener for one's own order."""
    expected = {"order": {"from": ".data.order", "expect": "${ $workflow.input.order }"}}
    return {"listen": {"to": {"one": {"with": {"type": "paid"}, "correlate": expected}}}}


def begin(running: Gateway, input: Any = None, path: str = "/flow") -> str:
    return running.request("POST", path, input or {}, {"prefer": "respond-async"}).headers["location"]


def send(running: Gateway, id: str = "1", data: Any = None, kind: str = "paid") -> Answer:
    event = {"specversion": "1.0", "id": id, "source": "/test", "type": kind, "data": data}
    return running.admin("/events", "POST", event, {"content-type": "application/cloudevents+json"})


def listening(running: Gateway, location: str) -> None:
    until(lambda: running.request("GET", location).json["status"] == "waiting")


def output(running: Gateway, location: str) -> Any:
    status = until(lambda: (found := running.request("GET", location).json)["status"] == "completed" and found)
    return status["output"]


def test_an_event_reaches_the_listener_it_is_meant_for(gateway: Start, service: Service, tmp_path: Path) -> None:
    write(tmp_path, [{"l": mine()}])
    running = gateway(config(service.port))
    one, other = begin(running, {"order": "a"}), begin(running, {"order": "b"})
    listening(running, one)
    listening(running, other)
    answer = send(running, "1", {"order": "b"})
    assert (answer.status, answer.json) == (202, {"stored": 1})
    assert output(running, other) == [{"order": "b"}]
    assert running.request("GET", one).json["status"] == "waiting"
    assert send(running, "1", {"order": "b"}).json == {"stored": 0}
    assert "stagedoor_events_duplicate_total 1" in running.metrics()


def test_events_come_in_every_form_that_http_knows(gateway: Start, service: Service, tmp_path: Path) -> None:
    write(tmp_path, [{"l": {"listen": {"to": {"any": [], "until": "length == 5"}, "read": "envelope"}}}])
    running = gateway(config(service.port))
    location = begin(running)
    listening(running, location)
    head = {"ce-specversion": "1.0", "ce-source": "/test", "ce-type": "x"}
    place = running.addresses["admin"]
    request(place, "POST", "/events", {"n": 1}, head | {"ce-id": "1", "ce-subject": "Z%C3%BCrich"})
    request(place, "POST", "/events", None, head | {"ce-id": "2"})
    batch = [{"specversion": "1.0", "id": id, "source": "/test", "type": "x"} for id in ("3", "4", "4")]
    answer = running.admin("/events", "POST", batch, {"content-type": "application/cloudevents-batch+json"})
    assert answer.json == {"stored": 2}
    send(running, "5", "text", "x")
    events = output(running, location)
    assert [event["id"] for event in events] == ["1", "2", "3", "4", "5"]
    assert (events[0]["data"], events[0]["subject"], events[0]["datacontenttype"]) == (
        {"n": 1},
        "Zürich",
        "application/json",
    )


ROUTES = """  partner:
    match: {path: /partner/events}
    policies: {authenticate: {any: [api_key]}, limits: {body: 10KiB}}
    target: {events: {types: [paid, "partner.*"], sources: ["/test", "/shops/*"]}}
  open:
    match: {path: /open}
    target: {events: {}}
"""


def test_events_come_in_through_a_route_behind_its_policies(gateway: Start, service: Service, tmp_path: Path) -> None:
    write(tmp_path, [{"l": {"listen": {"to": {"any": [], "until": "length == 6"}, "read": "envelope"}}}])
    running = gateway(config(service.port).replace("workflows:", ROUTES + "workflows:", 1))
    location = begin(running)
    listening(running, location)
    event = {"specversion": "1.0", "id": "1", "source": "/test", "type": "paid", "data": {"n": 1}}
    structured = {"content-type": "application/cloudevents+json; charset=utf-8"}
    key = {"x-api-key": "key-of-web-0123456789"}

    def post(body: Any, headers: dict[str, str], path: str = "/partner/events") -> Answer:
        return running.request("POST", path, body, headers)

    assert post(event, structured).status == 401
    answer = post(event, structured | key)
    assert (answer.status, answer.json) == (202, {"stored": 1})
    assert post(event, structured | key).json == {"stored": 0}
    head = {"ce-specversion": "1.0", "ce-id": "2", "ce-source": "/shops/7", "ce-type": "partner.sold"}
    assert post({"n": 2}, head | key | {"ce-subject": "Z%C3%BCrich"}).json == {"stored": 1}
    batch = [event | {"id": id} for id in ("3", "4")]
    assert post(batch, key | {"content-type": "application/cloudevents-batch+json"}).json == {"stored": 2}
    for wrong, name in (({"type": "shipped"}, "type"), ({"source": "/tests"}, "source")):
        answer = post([event | {"id": "5"}, event | {"id": "6"} | wrong], key | {"content-type": BATCH})
        assert (answer.status, answer.json["type"].partition("#")[2]) == (403, "forbidden"), answer
        assert f"no event of that {name}" in answer.json["detail"]
    answer = post({"n": 1}, key)
    assert (answer.status, "no event" in answer.json["detail"]) == (400, True), answer
    assert post(event | {"data": "x" * 20_000}, structured | key).status == 413
    assert running.request("PUT", "/open", event, structured).headers["allow"].startswith("POST")
    assert post(event | {"id": "5", "type": "anything"}, structured, "/open").json == {"stored": 1}
    assert post(event | {"id": "6", "source": "/else"}, structured, "/open").json == {"stored": 1}
    events = output(running, location)
    assert [each["id"] for each in events] == ["1", "2", "3", "4", "5", "6"]
    assert (events[1]["subject"], events[1]["data"]) == ("Zürich", {"n": 2})
    assert not any("api" in name for each in events for name in each)


def test_what_is_no_event_is_refused_with_the_reason(gateway: Start, service: Service, tmp_path: Path) -> None:
    write(tmp_path, [{"l": PAID}])
    running = gateway(config(service.port))
    structured = {"content-type": "application/cloudevents+json"}
    for body, headers, reason in (
        ({"n": 1}, {}, "no event"),
        ({"n": 1}, structured, "specversion"),
        ({"specversion": "1.0", "id": "1", "source": "/x"}, structured, "type is missing"),
        ({"specversion": "1.0", "id": "1", "source": "/x", "type": "t", "time": "now"}, structured, "RFC 3339"),
        ({"n": 1}, {"content-type": "application/cloudevents-batch+json"}, "a list of events"),
        ({"n": 1}, {"content-type": "application/cloudevents+avro"}, "only JSON"),
    ):
        answer = running.admin("/events", "POST", body, headers)
        assert (answer.status, reason in answer.json["detail"]) == (400, True), answer


def test_an_event_before_its_listener_waits_for_it_also_across_a_crash(
    gateway: Start, service: Service, tmp_path: Path
) -> None:
    write(tmp_path, [{"first": call("/hang")}, {"l": mine()}])
    running = gateway(config(service.port))
    send(running, "0", {"order": "a"})
    location = begin(running, {"order": "a"})
    service.await_request("/hang")
    running.kill()
    service.release()
    running = gateway()
    assert output(running, location) == [{"order": "a"}]
    late = begin(running, {"order": "a"})
    listening(running, late)
    assert running.request("GET", late).json["status"] == "waiting", "it was taken"


def test_without_correlation_only_what_came_since_the_execution_began_is_for_it(
    gateway: Start, service: Service, tmp_path: Path
) -> None:
    write(tmp_path, [{"first": call("/hang")}, {"l": PAID}])
    running = gateway(config(service.port))
    send(running, "old", "old")
    location = begin(running)
    service.await_request("/hang")
    send(running, "new", "new")
    service.release()
    assert output(running, location) == ["new"]


def test_a_crash_after_any_event_of_a_listener_delivers_each_event_once(
    gateway: Start, service: Service, tmp_path: Path
) -> None:
    write(tmp_path, [{"l": {"listen": {"to": {"any": [], "until": "length == 3"}}}}, {"after": call("/a")}])
    (tmp_path / "stagedoor.yaml").write_text(config(service.port))
    for events in (2, 4):  # one received, three received
        for old in tmp_path.glob("stagedoor.db*"):
            if old.suffix != ".lock":
                old.unlink()
        service.requests.clear()
        running = gateway(environment={"STAGEDOOR_CRASH_AFTER_EVENT": str(events)})
        with contextlib.suppress(OSError):
            running.request("POST", "/flow", {}, {"idempotency-key": "k", "prefer": "respond-async"})
        for id in ("1", "2", "3"):
            with contextlib.suppress(OSError, AssertionError):
                send(running, id, id)
        assert running.process.wait(30) == 137
        running = gateway()
        again = running.request("POST", "/flow", {}, {"idempotency-key": "k", "prefer": "respond-async"})
        for id in ("1", "2", "3"):
            send(running, id, id)
        if again.status == 202:
            output(running, again.headers["location"])
        assert service.requests[0].json == ["1", "2", "3"]
        assert len({seen.key for seen in service.requests}) == 1
        running.end()


def test_what_a_workflow_emits_reaches_the_sink_and_other_workflows_with_one_id(
    gateway: Start, service: Service, tmp_path: Path
) -> None:
    event = {"type": "paid", "subject": "Zürich", "data": {"order": "${ .order }"}}
    write(tmp_path, [{"e": {"emit": {"event": {"with": event}}}}])
    write(tmp_path, [{"l": mine()}], name="listener")
    extra = "engine: {events: {sink: cluster://service/inbox}}"
    route = "  listen: {match: {path: /listen}, target: {workflow: test/listener, input: '${ .body }', wait: 20s}}\n"
    running = gateway(config(service.port, extra=extra).replace("workflows:", route + "workflows:", 1))
    waiting = begin(running, {"order": "a"}, "/listen")
    listening(running, waiting)
    emitted = running.request("POST", "/flow", {"order": "a"}).json
    assert output(running, waiting) == [{"order": "a"}]
    service.await_request("/inbox")
    [seen] = service.to("/inbox")
    assert seen.json == {"order": "a"}
    assert {name: seen.headers[f"ce-{name}"] for name in ("id", "type", "source", "specversion", "subject")} == {
        "id": emitted["id"],
        "type": "paid",
        "source": "/workflows/test/flow",
        "specversion": "1.0",
        "subject": "Z%C3%BCrich",
    }
    until(lambda: "stagedoor_events_delivered_total 1" in running.metrics())


def test_a_sink_that_fails_gets_the_event_again_with_the_same_id_also_after_a_crash(
    gateway: Start, service: Service, tmp_path: Path
) -> None:
    write(tmp_path, [{"e": {"emit": {"event": {"with": {"type": "paid"}}}}}])
    extra = "engine: {events: {sink: cluster://service/hang, mode: structured}}"
    running = gateway(config(service.port, extra=extra))
    assert running.request("POST", "/flow", {}).status == 200
    service.await_request("/hang")
    running.kill()
    service.release()
    running = gateway()
    until(lambda: "stagedoor_events_delivered_total 1" in running.metrics())
    assert len(service.to("/hang")) == 2
    assert len({seen.json["id"] for seen in service.to("/hang")}) == 1
    assert running.end() == 0
    running = gateway()
    assert running.request("POST", "/flow", {}).status == 200
    until(lambda: len(service.to("/hang")) == 3)


def test_the_sink_is_told_what_becomes_of_executions(gateway: Start, service: Service, tmp_path: Path) -> None:
    undone = {"undo": undo("/undo")}
    write(
        tmp_path, [{"a": call("/hang", undo="undo")}, {"b": {"raise": {"error": {"type": "x", "status": 418}}}}], undone
    )
    extra = "engine: {events: {sink: cluster://service/told, mode: structured, lifecycle: true}}"
    running = gateway(config(service.port, extra=extra))
    location = begin(running)
    id = location.rpartition("/")[2]
    service.await_request("/hang")
    words = {"reason": "look", "by": "ann"}
    for verb in ("suspend", "resume"):
        until(lambda verb=verb: running.admin(f"/executions/{id}/{verb}", "POST", words).status == 202)
    service.release()
    until(lambda: running.request("GET", location).json["status"] == "faulted")
    until(lambda: len(service.to("/told")) >= 4)
    told = sorted((seen.json for seen in service.to("/told")), key=lambda event: int(event["id"].partition("#")[2]))
    kinds = [event["type"].removeprefix("org.openworkflow.workflow.") for event in told]
    assert kinds == ["started.v1", "suspended.v1", "resumed.v1", "faulted.v1"]
    assert {event["subject"] for event in told} == {id}
    assert told[0]["data"]["definition"] == {"namespace": "test", "name": "flow", "version": "1.0.0"}
    assert told[3]["data"]["error"]["status"] == 418
    report = told[3]["data"]["compensation"]
    assert (report["status"], report["entries"][0]["task"]) == ("complete", "/do/0/a")


def test_the_sink_is_told_when_executions_begin_to_correlate_events_and_have_them_all(
    gateway: Start, service: Service, tmp_path: Path
) -> None:
    kinds = [{"with": {"type": kind}, "correlate": {"order": {"from": ".order"}}} for kind in ("paid", "sent")]
    both = {"listen": {"to": {"all": kinds}}}
    never = {"timeout": {"after": "PT0.01S"}, "listen": {"to": {"one": {"with": {"type": "never"}}}}}
    caught = {"try": [{"late": never}], "catch": {}}
    write(tmp_path, [{"both": both}, {"caught": caught}])
    extra = "engine: {events: {sink: cluster://service/told, mode: structured, lifecycle: true}}"
    running = gateway(config(service.port, extra=extra))
    id = begin(running).rpartition("/")[2]
    assert send(running, "1", {"order": 7}).status == 202
    until(lambda: len(running.admin(f"/executions/{id}").json["waiting"][0]["filters"]) == 1)
    running.kill()
    running = gateway()
    assert send(running, "2", {"order": 8}, "sent").status == 202
    assert send(running, "3", {"order": 7}, "sent").status == 202
    prefix = "org.openworkflow.workflow."
    known = lambda: {seen.json["id"]: seen.json for seen in service.to("/told")}  # noqa: E731
    until(lambda: any(each["type"] == f"{prefix}completed.v1" for each in known().values()))
    until(lambda: len(known()) == 5)
    told = sorted(known().values(), key=lambda event: [int(part) for part in event["id"].partition("#")[2].split(".")])
    assert [each["type"].removeprefix(prefix) for each in told] == [
        *("started.v1", "correlation-started.v1", "correlation-completed.v1"),
        *("correlation-started.v1", "completed.v1"),
    ]
    assert told[1]["data"]["startedAt"] == told[1]["time"]
    assert (told[1]["data"]["name"], told[1]["data"]["task"]) == (id, "/do/0/both")
    assert told[2]["data"]["correlationKeys"] == {"order": 7}
    assert told[2]["data"]["completedAt"] == told[2]["time"]
    assert "correlationKeys" not in told[3]["data"]


def test_a_store_of_version_1_is_brought_up_to_date(gateway: Start, service: Service, tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "stagedoor.db")
    connection.executescript(files("stagedoor.engine").joinpath("schema_1.sql").read_text("utf-8"))
    connection.execute("INSERT INTO schema_version VALUES (1)")
    # Not so old that its time in the store is over.
    now = time.time()
    old = ("old", "test/flow", "1.0.0", "h", "completed", "flow", None, None, None, now)
    connection.execute("INSERT INTO execution VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", old)
    connection.execute("""INSERT INTO event VALUES ('old', 0, 'ExecutionCompleted', ?, '{"output":7}')""", (now,))
    connection.commit()
    connection.close()
    write(tmp_path, [{"e": {"emit": {"event": {"with": {"type": "paid"}}}}}])
    running = gateway(config(service.port))
    assert running.request("GET", "/flow/executions/old").json["output"] == 7
    assert running.request("POST", "/flow", {}).json["type"] == "paid"
