"""Executions through the front door: a client, a gateway process, a service."""

from __future__ import annotations

import contextlib
import resource
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from flow import call, config, undo, write
from running import Gateway, request, until
from service import Service

WEB = {"x-api-key": "key-of-web-0123456789"}
APP = {"x-api-key": "key-of-app-0123456789"}
Start = Callable[..., Gateway]


def ended(gateway: Gateway, location: str, headers: dict[str, str] | None = None) -> dict[str, object]:
    """The status resource once the execution has ended."""

    def look() -> dict[str, object] | None:
        answer = gateway.request("GET", location, headers=headers)
        assert answer.status == 200, answer
        return answer.json if answer.json["status"] in ("completed", "faulted", "cancelled") else None

    return until(look)


def test_the_output_is_the_response_and_every_call_carries_its_key_and_the_trace(
    gateway: Start, service: Service, tmp_path: Path
) -> None:
    write(tmp_path, [{"first": call("/a")}, {"second": call("/b")}])
    running = gateway(config(service.port))
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    answer = running.request("POST", "/flow", {"sku": "chair"}, {"traceparent": trace})
    assert (answer.status, answer.json) == (200, {"path": "/b", "number": 1})
    first, second = service.requests
    assert first.json == {"sku": "chair"}
    assert second.json == {"path": "/a", "number": 1}
    assert first.key != second.key
    assert {seen.headers["traceparent"][:36] for seen in (first, second)} == {trace[:36]}
    assert first.headers["traceparent"] != second.headers["traceparent"] != trace
    assert first.headers["accept"] == "application/json"


def test_one_key_is_one_execution_also_after_it_has_ended(gateway: Start, service: Service, tmp_path: Path) -> None:
    write(tmp_path, [{"only": call("/a")}])
    running = gateway(config(service.port))
    key = {"idempotency-key": "order-1"}
    answers = [running.request("POST", "/mine", {"sku": "chair"}, WEB | key) for _ in range(3)]
    assert [answer.json for answer in answers] == [{"path": "/a", "number": 1}] * 3
    conflict = running.request("POST", "/mine", {"sku": "table"}, WEB | key)
    assert conflict.status == 422
    assert conflict.json["type"].endswith("#idempotency-conflict")
    other = running.request("POST", "/mine", {"sku": "table"}, APP | key)
    assert other.json == {"path": "/a", "number": 2}, "another consumer's key is another key"
    assert len(service.requests) == 2
    running.end()
    running = gateway()
    assert running.request("POST", "/mine", {"sku": "chair"}, WEB | key).json == {"path": "/a", "number": 1}
    assert len(service.requests) == 2


def test_requests_with_one_key_at_the_same_time_meet_in_one_execution(
    gateway: Start, service: Service, tmp_path: Path
) -> None:
    write(tmp_path, [{"only": call("/hang")}])
    running = gateway(config(service.port))
    asked = {"idempotency-key": "k", "prefer": "respond-async"}
    locations = {running.request("POST", "/flow", {}, asked).headers["location"] for _ in range(5)}
    assert len(locations) == 1
    service.await_request("/hang")
    service.release()
    assert ended(running, locations.pop())["output"] == {"path": "/hang", "number": 1}
    assert len(service.requests) == 1


def test_an_asynchronous_execution_is_seen_by_its_consumer_alone(
    gateway: Start, service: Service, tmp_path: Path
) -> None:
    write(tmp_path, [{"only": call("/a")}])
    running = gateway(config(service.port))
    accepted = running.request("POST", "/mine", {}, WEB | {"prefer": "respond-async"})
    assert accepted.status == 202
    location = accepted.headers["location"]
    status = ended(running, location, WEB)
    assert status.keys() == {"id", "workflow", "version", "status", "created", "updated", "output"}
    assert (status["workflow"], status["status"]) == ("test/flow", "completed")
    refused = running.request("GET", location, headers=APP)
    assert refused.status == 404
    assert refused.json["type"].endswith("#execution-not-found")
    assert running.request("GET", location).status == 401
    anonymous = "/flow/executions/" + location.rpartition("/")[2]
    assert running.request("GET", anonymous).status == 404
    assert running.request("GET", "/flow/executions/nothing").status == 404


def test_who_waits_too_long_is_told_where_to_look(gateway: Start, service: Service, tmp_path: Path) -> None:
    write(tmp_path, [{"only": call("/hang")}])
    running = gateway(config(service.port, wait="200ms"))
    answer = running.request("POST", "/flow", {})
    assert answer.status == 202
    assert answer.json["status"] == "running"
    service.release()
    assert ended(running, answer.headers["location"])["status"] == "completed"


def test_a_client_that_goes_away_does_not_stop_its_execution(gateway: Start, service: Service, tmp_path: Path) -> None:
    write(tmp_path, [{"first": call("/hang")}, {"second": call("/after")}])
    running = gateway(config(service.port))
    host, port = running.addresses["listeners"]["door"].split(":")
    with socket.create_connection((host, int(port))) as client:
        client.sendall(
            b"POST /flow HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"
        )
        service.await_request("/hang")
    service.release()
    service.await_request("/after")


def test_a_killed_gateway_goes_on_with_the_same_keys(gateway: Start, service: Service, tmp_path: Path) -> None:
    write(tmp_path, [{"first": call("/a")}, {"second": call("/hang")}, {"third": call("/c")}])
    running = gateway(config(service.port))
    location = running.request("POST", "/flow", {}, {"prefer": "respond-async"}).headers["location"]
    service.await_request("/hang")
    running.kill()
    service.release()
    running = gateway()
    assert ended(running, location)["output"] == {"path": "/c", "number": 1}
    assert len(service.to("/a")) == 1
    repeated = service.to("/hang")
    assert len(repeated) == 2
    assert len({seen.key for seen in repeated}) == 1


def crashed(gateway: Start, folder: Path, events: int) -> Gateway:
    """A gateway on a new store that is gone after so many events, with a request under way; started anew."""
    for old in folder.glob("stagedoor.db*"):
        if old.suffix != ".lock":
            old.unlink()
    running = gateway(environment={"STAGEDOOR_CRASH_AFTER_EVENT": str(events)})
    with contextlib.suppress(OSError):
        running.request("POST", "/flow", {}, {"idempotency-key": "k"})
    assert running.process.wait(30) == 137
    return gateway()


def test_a_crash_after_any_event_repeats_only_with_the_same_key(
    gateway: Start, service: Service, tmp_path: Path
) -> None:
    write(tmp_path, [{"first": call("/a")}, {"second": call("/b")}])
    (tmp_path / "stagedoor.yaml").write_text(config(service.port))
    for events in range(1, 5):  # started, two answers, completed
        service.requests.clear()
        running = crashed(gateway, tmp_path, events)
        again = running.request("POST", "/flow", {}, {"idempotency-key": "k"})
        assert (again.status, again.json["path"]) == (200, "/b")
        for path in ("/a", "/b"):
            assert len({seen.key for seen in service.to(path)}) == 1
        assert running.end() == 0


def test_a_crash_after_any_event_of_a_failing_workflow_undoes_it_once(
    gateway: Start, service: Service, tmp_path: Path
) -> None:
    write(
        tmp_path,
        [{"first": call("/a", undo="undoA")}, {"second": call("/b", undo="undoB")}, {"third": call("/status/409")}],
        {"undoA": undo("/undo-a"), "undoB": undo("/undo-b")},
    )
    (tmp_path / "stagedoor.yaml").write_text(config(service.port))
    # Started; two answers, each with its undo registered; the failure; two undos; faulted.
    for events in range(1, 10):
        service.requests.clear()
        running = crashed(gateway, tmp_path, events)
        again = running.request("POST", "/flow", {}, {"idempotency-key": "k"})
        assert again.status == 409
        assert again.json["compensation"]["status"] == "complete"
        for path in ("/a", "/b", "/status/409", "/undo-a", "/undo-b"):
            assert len({seen.key for seen in service.to(path)}) == 1, f"{path} after event {events}"
        order = [seen.path for seen in service.requests if seen.path.startswith("/undo")]
        assert order.index("/undo-b") < order.index("/undo-a")
        assert running.end() == 0


def test_a_timer_survives_a_restart(gateway: Start, service: Service, tmp_path: Path) -> None:
    write(tmp_path, [{"pause": {"wait": {"milliseconds": 1500}}}, {"then": call("/a")}])
    running = gateway(config(service.port))
    location = running.request("POST", "/flow", {}, {"prefer": "respond-async"}).headers["location"]
    until(lambda: running.request("GET", location).json["status"] == "waiting")
    running.kill()
    running = gateway()
    assert ended(running, location)["status"] == "completed"
    assert len(service.requests) == 1


def test_an_execution_keeps_the_definition_it_began_with(gateway: Start, service: Service, tmp_path: Path) -> None:
    write(tmp_path, [{"first": call("/hang")}, {"second": call("/old")}])
    running = gateway(config(service.port))
    location = running.request("POST", "/flow", {}, {"prefer": "respond-async"}).headers["location"]
    service.await_request("/hang")
    running.kill()
    write(tmp_path, [{"first": call("/new")}])
    running = gateway()
    assert running.request("POST", "/flow", {}).json["path"] == "/new"
    service.release()
    assert ended(running, location)["output"]["path"] == "/old"


def test_a_call_without_an_answer_is_asked_again_with_the_same_key(
    gateway: Start, service: Service, tmp_path: Path
) -> None:
    write(tmp_path, [{"only": call("/drop")}])
    running = gateway(config(service.port))
    answer = running.request("POST", "/flow", {})
    assert answer.status in (502, 503), answer
    assert len({seen.key for seen in service.requests}) == 1
    assert len(service.requests) > 1


def test_text_is_text_and_broken_json_is_no_success(gateway: Start, service: Service, tmp_path: Path) -> None:
    write(tmp_path, [{"only": call("/text")}])
    write(tmp_path, [{"only": call("/broken")}], name="broken")
    route = "  broken: {match: {path: /broken}, target: {workflow: test/broken, input: '${ .body }', wait: 20s}}\n"
    running = gateway(config(service.port).replace("workflows:", route + "workflows:", 1))
    assert running.request("POST", "/flow", {}).json == "grüß dich"
    assert running.request("POST", "/broken", {}).status == 502


def test_a_host_that_is_not_allowed_is_not_called(gateway: Start, service: Service, tmp_path: Path) -> None:
    endpoint = '${ "http://127.0.0.1:' + str(service.port) + '/a" }'
    write(tmp_path, [{"only": {"call": "http", "with": {"method": "get", "endpoint": endpoint}}}])
    running = gateway(config(service.port))
    answer = running.request("POST", "/flow", {})
    assert answer.status == 502
    assert "allow_hosts" in answer.json["detail"]
    running.end()
    running = gateway(config(service.port, extra=f'engine: {{allow_hosts: ["{service.url}"]}}'))
    assert running.request("POST", "/flow", {}).status == 200


def test_while_the_disk_is_full_nothing_starts_and_nothing_is_lost(
    gateway: Start, service: Service, tmp_path: Path
) -> None:
    write(tmp_path, [{"first": call("/hang")}, {"second": call("/b")}])
    running = gateway(config(service.port))
    location = running.request("POST", "/flow", {}, {"prefer": "respond-async"}).headers["location"]
    service.await_request("/hang")
    size = (tmp_path / "stagedoor.db-wal").stat().st_size
    resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
    # What the log has checkpointed meanwhile it may write over first.
    refused = until(lambda: (it := running.request("POST", "/flow", {})).status != 200 and it)
    assert refused.status == 503
    assert refused.json["type"].endswith("#engine-unavailable")
    assert refused.headers["retry-after"]
    assert running.admin("/readyz").status == 503
    service.release()
    assert running.request("GET", location).json["status"] == "running"
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    resource.prlimit(running.process.pid, resource.RLIMIT_FSIZE, unlimited)
    assert ended(running, location)["status"] == "completed"
    until(lambda: running.admin("/readyz").status == 200)
    assert running.request("POST", "/flow", {}).status == 200


def test_a_second_gateway_on_the_same_store_is_refused(gateway: Start, service: Service, tmp_path: Path) -> None:
    write(tmp_path, [{"only": call("/a")}])
    running = gateway(config(service.port))
    second = gateway()
    assert second.process.wait(30) == 1
    assert f"in use by process {running.process.pid}" in second.log
    assert "Traceback" not in second.log


def test_an_input_that_is_too_large_for_the_event_log_is_refused(
    gateway: Start, service: Service, tmp_path: Path
) -> None:
    write(tmp_path, [{"only": call("/a")}])
    running = gateway(config(service.port))
    # 800 kB on the way, 2.4 MB as it would be logged.
    answer = request(
        running.addresses["listeners"]["door"],
        "POST",
        "/flow",
        "ü" * 400_000,
        escape=False,
    )
    assert answer.status == 413
    assert answer.json["type"].endswith("#body-too-large")
    assert running.request("POST", "/flow", {}).status == 200


@pytest.mark.parametrize(
    "endpoint",
    [
        "cluster://nothing/x",
        "cluster:///x",
        "cluster://service/\ud800",
        "cluster://ser\ud800vice/x",
        "ftp://127.0.0.1/",
        "http://[::1/",
        "http://127.0.0.1:99999/",
        "//service/x",
        "",
    ],
)
def test_an_endpoint_that_makes_no_sense_fails_the_call_and_nothing_else(
    gateway: Start, service: Service, tmp_path: Path, endpoint: str
) -> None:
    write(tmp_path, [{"only": {"call": "http", "with": {"method": "get", "endpoint": "${ .to }"}}}])
    running = gateway(config(service.port))
    answer = running.request("POST", "/flow", {"to": endpoint})
    assert answer.status >= 400, answer
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert answer.json["title"] != "The gateway failed"
    assert running.request("POST", "/flow", {"to": "cluster://service/a%20b?q=%C3%BC"}).status == 200
    assert service.requests[0].path == "/a%20b?q=%C3%BC"
    assert "Traceback" not in running.log
