"""The boundary over real sockets: start, callouts, answers, calls, apply, drain and stop."""

from __future__ import annotations

import hmac
import json
import select
import socket
import struct
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from running import Answer, request
from service import Service
from stagedoor import _core

Json = Any
LIMITS = {
    "head_bytes": 16384,
    "uri_bytes": 8192,
    "header_count": 100,
    "connections": 1000,
    "head_read_ms": 5000,
    "idle_ms": 5000,
    "body_idle_ms": 5000,
    "half_close_ms": 100,
}
ERROR = {"type": "about:blank", "title": "Card declined", "status": 402, "detail": "no funds", "secret": "x"}


def route(path: str, method: str, target: Json, policies: Json | None = None) -> Json:
    match = {"hosts": [], "path": path, "methods": [method], "headers": {}, "query": {}}
    return {"match": match, "priority": 0, "policies": policies or {}, "target": target}


def workflow(input: str = ".body", response: Json | None = None) -> Json:
    return {
        "workflow": {
            "workflow": "shop/order",
            "input": input,
            "wait_ms": 5000,
            "status_path": "/orders/{shop}/executions/{execution}",
            "response": response or {"status": 201, "headers": {"Location": "/orders/${ .id }"}, "body": None},
        }
    }


def snapshot(**routes: Json) -> str:
    listeners = {"public": {"bind": "127.0.0.1:0", "trusted_proxies": [], "limits": LIMITS}}
    routes = {
        "order": route("/orders/{shop}", "POST", workflow()),
        "order@executions": route("/orders/{shop}/executions/{execution}", "GET", {"execution": {"route": "order"}}),
        **routes,
    }
    settings = {"workers": 2, "listeners": listeners, "consumers": {}, "clusters": {}, "unrouted": {}}
    return json.dumps({**settings, "routes": routes})


class Door:
    """A data plane, and clients of it in threads of their own."""

    def __init__(self) -> None:
        self.plane = _core.DataPlane()
        self.clients = ThreadPoolExecutor(32)
        self.address = ""
        self._waiting: list[_core.Notice] = []

    def start(self, text: str) -> None:
        self.address = self.plane.start(text)["public"]

    def ask(self, body: Json = None, headers: dict[str, str] | None = None, path: str = "/orders/a") -> Future[Answer]:
        return self.clients.submit(request, self.address, "POST", path, body, headers)

    def notice(self) -> Any:
        while not self._waiting:
            readable, _, _ = select.select([self.plane.fileno()], [], [], 20)
            assert readable, "no notice came"
            self._waiting = self.plane.take()
        return self._waiting.pop(0)


@pytest.fixture
def door() -> Iterator[Door]:
    made = Door()
    yield made
    made.plane.stop()
    made.clients.shutdown()


def test_a_callout_carries_the_request_and_its_answer_becomes_the_response(door: Door) -> None:
    door.start(snapshot())
    answer = door.ask({"sku": "chair"}, {"Idempotency-Key": '"k1"', "X-Request-Id": "r"})
    notice = door.notice()
    assert isinstance(notice, _core.Execute)
    assert (notice.route, notice.workflow, notice.input) == ("order", "shop/order", {"sku": "chair"})
    assert (notice.idempotency_key, notice.consumer, notice.wait_ms) == ("k1", None, 5000)
    assert len(notice.traceparent) == 55
    door.plane.answer([(notice.callout, "completed", "e1", {"id": "7", "n": [1.5, None]})])
    response = answer.result()
    assert (response.status, response.json) == (201, {"id": "7", "n": [1.5, None]})
    assert response.headers["location"] == "/orders/7"
    assert response.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    ("status", "expected"), [(402, 402), (599, 599), (200, 500), (1000, 500), ("x", 500), (None, 500)]
)
def test_a_fault_is_the_workflows_own_error_with_a_valid_status(door: Door, status: Json, expected: int) -> None:
    door.start(snapshot())
    answer = door.ask({})
    error = {**ERROR, "status": status, "compensation": {"status": "complete", "entries": []}}
    door.plane.answer([(door.notice().callout, "faulted", "e1", error)])
    response = answer.result()
    assert response.status == expected
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json["status"] == expected
    assert response.json["title"] == "Card declined"
    assert response.json["compensation"] == {"status": "complete", "entries": []}
    assert "secret" not in response.json


def test_what_still_runs_is_a_202_with_the_place_of_its_status(door: Door) -> None:
    door.start(snapshot())
    answer = door.ask({}, {"Prefer": "respond-async"}, path="/orders/a%20b")
    notice = door.notice()
    assert notice.wait_ms == 0
    door.plane.answer([(notice.callout, "running", "e1", {"status": "running"})])
    response = answer.result()
    assert (response.status, response.json) == (202, {"status": "running"})
    assert response.headers["location"] == "/orders/a%20b/executions/e1"
    assert response.headers["retry-after"] == "1"
    assert response.headers["preference-applied"] == "respond-async"


def test_a_refusal_is_an_error_of_its_kind(door: Door) -> None:
    door.start(snapshot())
    answer = door.ask({})
    door.plane.answer([(door.notice().callout, "refused", "overloaded", "Too many.", 3)])
    response = answer.result()
    assert (response.status, response.headers["retry-after"]) == (503, "3")
    assert (response.json["type"], response.json["detail"]) == ("https://stagedoor.dev/errors#overloaded", "Too many.")


@pytest.mark.parametrize("wrong", [("bogus",), ("completed", "e1", {1: 2}), ("refused", "no-such-kind", "", None), ()])
def test_an_answer_that_cannot_be_used_fails_its_own_request_only(door: Door, wrong: tuple[Json, ...]) -> None:
    door.start(snapshot())
    first, second = door.ask({"n": 1}), door.ask({"n": 2})
    callouts = {notice.input["n"]: notice.callout for notice in (door.notice(), door.notice())}
    with pytest.raises((ValueError, TypeError, IndexError)):
        door.plane.answer([(callouts[1], *wrong), (callouts[2], "completed", "e2", {"id": "2"})])
    assert first.result().status == 500
    assert second.result().status == 201


@pytest.mark.parametrize(
    ("body", "headers", "status"),
    [
        (b"{", {"content-type": "application/json"}, 400),
        (b"{} {}", {"content-type": "application/json"}, 400),
        (b'"\xff"', {"content-type": "application/json"}, 400),
        (b"[" * 200 + b"]" * 200, {"content-type": "application/json"}, 400),
        (b"{}", {"content-type": "text/plain"}, 415),
        (b"{}", {}, 415),
        (b'"' + b"x" * 1_100_000 + b'"', {"content-type": "application/json"}, 413),
        (b"{}", {"content-type": "application/json", "idempotency-key": "a b"}, 400),
        (b"{}", {"content-type": "application/json", "idempotency-key": "k" * 256}, 400),
    ],
)
def test_a_request_that_cannot_be_an_input_never_reaches_the_engine(
    door: Door, body: bytes, headers: dict[str, str], status: int
) -> None:
    door.start(snapshot())
    assert raw(door.address, body, headers) == status
    assert door.plane.take() == []


def raw(address: str, body: bytes, headers: dict[str, str]) -> int:
    host, _, port = address.rpartition(":")
    lines = [f"{name}: {value}" for name, value in headers.items()]
    head = "\r\n".join(["POST /orders/a HTTP/1.1", "host: x", f"content-length: {len(body)}", *lines, "", ""])
    with socket.create_connection((host, int(port)), timeout=20) as client:
        client.sendall(head.encode() + body)
        return int(client.recv(64).split()[1])


def test_an_empty_body_is_null_and_json_has_many_names(door: Door) -> None:
    door.start(snapshot())
    for body, content_type, expected in [(b"", "text/plain", None), (b"[1]", "application/merge-patch+json; a=b", [1])]:
        answer = door.clients.submit(raw, door.address, body, {"content-type": content_type})
        notice = door.notice()
        assert notice.input == expected
        door.plane.answer([(notice.callout, "completed", "e", {"id": 1})])
        assert answer.result() == 201


def test_the_input_is_made_of_the_request_and_holds_no_credential(door: Door) -> None:
    door.start(snapshot(order=route("/orders/{shop}", "POST", workflow("."))))
    secrets = {"authorization": "Bearer s3cret", "cookie": "session=s3cret", "x-kept": "yes"}
    answer = door.ask({"a": 1}, secrets, path="/orders/a%2Fb?x=1&y=%C3%A4&x=2&z")
    notice = door.notice()
    seen = notice.input
    assert (seen["method"], seen["path"], seen["body"]) == ("POST", "/orders/a%2Fb", {"a": 1})
    assert (seen["params"], seen["consumer"]) == ({"shop": "a/b"}, None)
    assert seen["query"] == {"x": ["1", "2"], "y": "ä", "z": ""}
    assert seen["headers"]["x-kept"] == "yes"
    assert "s3cret" not in str(seen)
    door.plane.answer([(notice.callout, "completed", "e", {"id": 1})])
    answer.result()


def test_the_input_says_who_calls_whatever_the_client_claims(door: Door) -> None:
    anonymous = {"groups": ["guests"], "scopes": [], "plan": None}
    policies = {"authenticate": {"any": [{"api_key": {"header": "x-api-key"}}], "anonymous": anonymous}}
    door.start(snapshot(order=route("/orders/{shop}", "POST", workflow("."), policies)))
    secret, key = bytes(range(32)), "sd_one_secretsecret"
    mac = hmac.new(secret, key.encode(), "sha256").hexdigest()
    keys = [{"id": "k1", "prefix": "one", "hmac_sha256": mac, "scopes": ["buy"]}]
    consumers = {"web": {"groups": ["staff"], "plan": "gold", "api_keys": keys}}
    registry = {"hmac_key": secret.hex(), "consumers": consumers, "plans": {"gold": {}}}
    door.plane.update_registry(json.dumps(registry))
    claims = {"X-Consumer-ID": "root", "x_consumer_groups": "admins", "Connection": "x-consumer-id"}
    known = {"id": "web", "groups": ["staff"], "scopes": ["buy"], "plan": "gold"}
    nobody = {"id": None, "groups": ["guests"], "scopes": [], "plan": None}
    for headers, caller, consumer in (({"X-Api-Key": key}, "web", known), ({}, None, nobody)):
        answer = door.ask({}, {**claims, **headers})
        notice = door.notice()
        assert (notice.consumer, notice.input["consumer"]) == (caller, consumer)
        assert not [name for name in notice.input["headers"] if "consumer" in name or "key" in name]
        door.plane.answer([(notice.callout, "completed", "e", {"id": 1})])
        assert answer.result().status == 201
    assert list(door.plane.last_used()) == ["k1"]


def test_a_registry_that_is_wrong_changes_nothing_and_shows_no_secret(door: Door) -> None:
    door.start(snapshot())
    keys = [{"id": "k1", "prefix": "one", "hmac_sha256": "s3cret"}]
    registry = {"hmac_key": "s3", "consumers": {"web": {"groups": [], "plan": None, "api_keys": keys}}}
    with pytest.raises(ValueError, match="key 'k1': hmac_sha256") as raised:
        door.plane.update_registry(json.dumps(registry))
    assert "s3cret" not in str(raised.value)


def test_an_expression_that_fails_or_never_ends_fails_its_request_while_others_are_served(door: Door) -> None:
    endless = route("/endless/{shop}", "POST", workflow("last(repeat(1))"))
    wrong = route("/wrong/{shop}", "POST", workflow(".body.a.b"))
    fixed = route("/fixed", "POST", {"response": {"status": 200, "headers": {}, "body": "ok"}})
    door.start(snapshot(endless=endless, wrong=wrong, fixed=fixed))
    stuck = [door.ask({}, path="/endless/a") for _ in range(4)]
    assert [door.ask({}, path="/fixed").result().status for _ in range(20)] == [200] * 20
    assert [answer.result().json["type"].rpartition("#")[2] for answer in stuck] == ["expression-failed"] * 4
    failed = door.ask({"a": 5}, path="/wrong/a").result()
    assert (failed.status, failed.json["detail"]) == (500, "The workflow's input could not be made from the request")


def test_only_so_much_of_an_output_as_the_response_asks_for_is_shown(door: Door) -> None:
    response = {"status": 200, "headers": {"X-A": "${ .a }", "X-None": "${ .none }"}, "body": "${ {b: .b} }"}
    door.start(snapshot(order=route("/orders/{shop}", "POST", workflow(response=response))))
    answer = door.ask({})
    door.plane.answer([(door.notice().callout, "completed", "e", {"a": 1, "b": 2, "c": 3})])
    shown = answer.result()
    assert (shown.json, shown.headers["x-a"]) == ({"b": 2}, "1")
    assert "x-none" not in shown.headers
    split = door.ask({})
    door.plane.answer([(door.notice().callout, "completed", "e", {"a": "x\r\ny: z", "b": 2})])
    assert split.result().status == 500


def test_a_status_resource_is_asked_for_by_route_id_and_consumer(door: Door) -> None:
    door.start(snapshot())
    answer = door.clients.submit(request, door.address, "GET", "/orders/a/executions/e1")
    notice = door.notice()
    assert isinstance(notice, _core.ShowExecution)
    assert (notice.route, notice.execution, notice.consumer) == ("order", "e1", None)
    door.plane.answer([(notice.callout, "shown", "e1", {"status": "completed"})])
    assert answer.result().json == {"status": "completed"}
    assert request(door.address, "GET", "/orders/a/executions/e%201").status == 404
    assert request(door.address, "GET", "/orders/a/executions/" + "e" * 200).status == 404


def test_a_client_that_goes_away_leaves_word(door: Door) -> None:
    door.start(snapshot())
    host, _, port = door.address.rpartition(":")
    client = socket.create_connection((host, int(port)))
    client.sendall(b"POST /orders/a HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n")
    execute = door.notice()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()
    abandoned = door.notice()
    assert isinstance(abandoned, _core.Abandoned)
    assert abandoned.callout == execute.callout
    door.plane.answer([(execute.callout, "completed", "e", {})])


def test_many_callouts_get_each_its_own_answer(door: Door) -> None:
    door.start(snapshot())
    answers = {number: door.ask({"n": number}) for number in range(200)}
    left = set(answers)
    while left:
        batch = [door.notice(), *door._waiting]
        door._waiting = []
        door.plane.answer([(each.callout, "completed", "e", {"id": each.input["n"]}) for each in batch])
        left -= {each.input["n"] for each in batch}
    assert all(answer.result().json == {"id": number} for number, answer in answers.items())


def test_calls_are_answered_refused_and_cancelled(door: Door, service: Service) -> None:
    cluster = {
        "endpoints": [{"authority": f"127.0.0.1:{service.port}", "weight": 1}],
        "balance": "round_robin",
        "connect_ms": 1000,
        "request_ms": 5000,
        "retry": {"attempts": 0, "connect_failure": True, "statuses": [], "budget_percent": 20},
        "ejection": {"failures": 0, "base_ms": 1000, "max_ms": 1000},
        "pool": {"idle": 4, "idle_ms": 1000, "connections": 8},
    }
    door.start(json.dumps({**json.loads(snapshot()), "clusters": {"service": cluster}}))
    door.plane.call(
        [
            (1, "service", "POST", "/a?b=c", [("content-type", "application/json")], b"{}", 5000, None),
            (2, "nowhere", "GET", "/", [], None, 5000, None),
            (3, "service", "GET", "/", [("bad name", "x")], None, 5000, None),
        ]
    )
    notices = {notice.call: notice for notice in (door.notice(), door.notice(), door.notice())}
    assert isinstance(notices[1], _core.Answered)
    assert notices[1].status == 200
    assert (notices[2].sent, notices[2].status, notices[2].code) == (False, 503, "cluster-unavailable")
    assert (notices[3].sent, notices[3].code) == (False, "bad-request")
    door.plane.cancel([1, 99])


def test_a_wrong_snapshot_changes_nothing(door: Door) -> None:
    with pytest.raises(RuntimeError, match="has not been started"):
        door.plane.take()
    bad = snapshot(
        order=route("/orders/{shop}", "POST", workflow(".a |", {"status": 42, "headers": {"x": "${"}, "body": None}))
    )
    with pytest.raises(ValueError, match="expected term") as refused:
        door.start(bad)
    for part in ("42 is not the status", "header 'x'"):
        assert part in str(refused.value)
    door.start(snapshot())
    with pytest.raises(RuntimeError, match="started already"):
        door.start(snapshot())
    with pytest.raises(ValueError, match="expected term"):
        door.plane.apply(bad)
    with pytest.raises(ValueError, match="snapshot"):
        door.plane.apply("{")
    answer = door.ask({})
    door.plane.apply(snapshot())
    door.plane.answer([(door.notice().callout, "completed", "e", {"id": 1})])
    assert answer.result().status == 201


def test_an_address_that_is_taken_is_an_os_error(door: Door) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        text = snapshot().replace("127.0.0.1:0", f"127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(OSError, match="cannot listen"):
            door.start(text)


def test_a_drain_waits_for_the_answer(door: Door) -> None:
    door.start(snapshot())
    answer = door.ask({})
    notice = door.notice()
    drained = door.clients.submit(door.plane.drain, 20.0)
    door.plane.answer([(notice.callout, "completed", "e", {"id": 1})])
    assert answer.result().status == 201
    assert drained.result() is True
    door.plane.stop()
    door.plane.stop()
