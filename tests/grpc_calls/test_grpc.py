"""A real client and a real server of gRPC, and the gateway between them."""

from __future__ import annotations

import itertools
import json
import queue
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import pytest
from running import Gateway, until
from stock import Stock

Channel = grpc.Channel
UNITS_S = {"H": 3600, "M": 60, "S": 1, "m": 1e-3, "u": 1e-6, "n": 1e-9}


@pytest.fixture
def channel(door: Gateway, dial: Callable[[Gateway], Channel]) -> Channel:
    return dial(door)


@pytest.fixture
def own_channel(own_door: Gateway, dial: Callable[[Gateway], Channel]) -> Channel:
    return dial(own_door)


def lines(log: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in log.read_text().splitlines()]


def refused(call: Callable[[], object]) -> grpc.RpcError:
    with pytest.raises(grpc.RpcError) as raised:
        call()
    return raised.value


def test_a_unary_call_and_its_metadata(channel: Channel, stock: Stock) -> None:
    metadata = (("x-tenant", "gold"), ("x-key-bin", b"\x00\x01\xff"))
    answer, call = channel.unary_unary("/shop.Stock/Get").with_call(b"mug", metadata=metadata, timeout=30)
    assert answer == b"mug"
    assert call.code() is grpc.StatusCode.OK
    assert ("x-before", "1") in [(key, value) for key, value in call.initial_metadata()]
    after = dict(call.trailing_metadata())
    assert (after["x-after"], after["x-binary-bin"]) == ("2", b"\x00\xff")
    seen = stock.metadata[0]
    assert (seen["x-tenant"], seen["x-key-bin"]) == ("gold", str(b"\x00\x01\xff"))
    assert {"x-request-id", "x-forwarded-for", "traceparent"} <= seen.keys()


def test_an_error_of_the_service_comes_as_it_said_it(channel: Channel) -> None:
    error = refused(lambda: channel.unary_unary("/shop.Stock/Get")(b"missing", timeout=30))
    assert error.code() is grpc.StatusCode.NOT_FOUND
    assert error.details() == "100 % gone: 'ä'"


def test_a_method_that_the_service_does_not_have(channel: Channel) -> None:
    error = refused(lambda: channel.unary_unary("/shop.Stock/Burn")(b"", timeout=30))
    assert error.code() is grpc.StatusCode.UNIMPLEMENTED


def test_a_stream_of_requests(channel: Channel) -> None:
    requests = (b"x" * size for size in range(500))
    assert channel.stream_unary("/shop.Stock/Sum")(requests, timeout=60) == str(sum(range(500))).encode()


def test_a_stream_of_answers(channel: Channel) -> None:
    answers = channel.unary_stream("/shop.Stock/List")(b"1000", timeout=60)
    assert list(answers) == [f"item {index}".encode() for index in range(1000)]


def test_both_sides_stream_and_take_turns(channel: Channel) -> None:
    said: queue.Queue[bytes | None] = queue.Queue()
    answers = channel.stream_stream("/shop.Stock/Chat")(iter(said.get, None), timeout=60)
    for index in range(200):
        said.put(f"word {index}".encode())
        assert next(answers) == f"WORD {index}".encode()
    said.put(None)
    assert list(answers) == []
    assert answers.code() is grpc.StatusCode.OK


def test_many_calls_at_once_share_the_connections(channel: Channel) -> None:
    get = channel.unary_unary("/shop.Stock/Get")
    calls = [get.future(str(index).encode(), timeout=60) for index in range(300)]
    assert [call.result() for call in calls] == [str(index).encode() for index in range(300)]


def test_large_messages_both_ways(channel: Channel) -> None:
    large = bytes(range(256)) * 4096 * 10
    assert channel.unary_unary("/shop.Stock/Get")(large, timeout=60) == large


def test_more_than_every_window_in_both_directions_at_once(channel: Channel) -> None:
    piece = b"a" * 100_000
    answers = channel.stream_stream("/shop.Stock/Chat")(itertools.repeat(piece, 100), timeout=60)
    assert sum(len(answer) for answer in answers) == 100 * len(piece)


def test_the_clients_time_reaches_the_service_and_ends_the_call(door: Gateway, channel: Channel, stock: Stock) -> None:
    started = time.monotonic()
    error = refused(lambda: channel.unary_unary("/shop.Stock/Wait")(b"", timeout=1, metadata=[("x-call", "timed")]))
    assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert time.monotonic() - started < 30
    assert stock.cancelled.wait(30)
    log = door.folder / "access.log"
    until(lambda: log.exists() and '"timed"' in log.read_text())
    [sent] = [line["headers"]["grpc-timeout"] for line in lines(log) if line["headers"].get("x-call") == "timed"]
    # The client rounds up what it sends: 1 s less a little may be 101 hundredths.
    assert 0 < stock.remaining[0] <= int(sent[:-1]) * UNITS_S[sent[-1]]


def test_the_gateways_own_time_is_a_deadline_too(own_door: Gateway, own_channel: Channel) -> None:
    config = own_door.folder / "stagedoor.yaml"
    text = config.read_text()
    config.write_text(text.replace("timeouts: {request: 10m}", "timeouts: {request: 500ms}"))

    def is_in_force() -> bool:
        error = refused(lambda: own_channel.unary_unary("/shop.Stock/Wait")(b"", timeout=5))
        assert error.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        return "did not answer in time" in error.details()

    until(is_in_force)


def test_a_call_that_is_cancelled_is_cancelled_at_the_service(channel: Channel, stock: Stock) -> None:
    call = channel.unary_unary("/shop.Stock/Wait").future(b"", timeout=60)
    assert stock.waiting.wait(30)
    call.cancel()
    assert stock.cancelled.wait(30)


def test_a_stream_that_is_cancelled_is_cancelled_at_the_service(channel: Channel, stock: Stock) -> None:
    answers = channel.unary_stream("/shop.Stock/Stall")(b"", timeout=60)
    assert next(answers) == b"first"
    assert stock.waiting.wait(30)
    answers.cancel()
    assert stock.cancelled.wait(30)


def test_what_the_gateway_refuses_has_a_status(channel: Channel) -> None:
    error = refused(lambda: channel.unary_unary("/shop.Nowhere/Get")(b"", timeout=30))
    assert error.code() is grpc.StatusCode.UNIMPLEMENTED
    assert error.details() == "No route matches the request"


def test_a_service_that_is_gone_is_unavailable(own_channel: Channel, own_server: tuple[grpc.Server, int]) -> None:
    get = own_channel.unary_unary("/shop.Stock/Get")
    assert get(b"here", timeout=30) == b"here"
    own_server[0].stop(None).wait()
    error = refused(lambda: get(b"gone", timeout=30))
    assert error.code() is grpc.StatusCode.UNAVAILABLE


def test_a_service_that_shuts_down_in_order_finishes_its_calls(
    own_channel: Channel, own_server: tuple[grpc.Server, int]
) -> None:
    said: queue.Queue[bytes | None] = queue.Queue()
    answers = own_channel.stream_stream("/shop.Stock/Chat")(iter(said.get, None), timeout=60)
    said.put(b"before")
    assert next(answers) == b"BEFORE"
    stopped = own_server[0].stop(30)
    said.put(b"after")
    assert next(answers) == b"AFTER"
    said.put(None)
    assert list(answers) == []
    assert stopped.wait(30)


def test_the_access_log_has_the_status_of_a_call(door: Gateway, channel: Channel) -> None:
    refused(lambda: channel.unary_unary("/shop.Stock/Get")(b"missing", timeout=30))
    refused(lambda: channel.unary_unary("/shop.Logged/Get")(b"", timeout=30))
    log = door.folder / "access.log"
    until(lambda: log.exists() and "/shop.Logged/Get" in log.read_text())
    found = {(line["path"], line["status"], line.get("grpc_status")) for line in lines(log)}
    assert {("/shop.Stock/Get", 200, 5), ("/shop.Logged/Get", 200, 12)} <= found
