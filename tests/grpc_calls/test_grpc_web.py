"""A client of gRPC-Web over HTTP/1.1, the gateway, and a real server of gRPC."""

from __future__ import annotations

import json
import socket
import struct

import pytest
from running import Gateway, until
from stock import Stock
from web import Call, Ended

both = pytest.mark.parametrize("text", [False, True], ids=["binary", "text"])


def address(door: Gateway) -> str:
    assert door.addresses, door.log
    return str(door.addresses["listeners"]["public"])


@both
def test_a_unary_call_and_its_metadata(door: Gateway, stock: Stock, text: bool) -> None:
    call = Call(address(door), "/shop.Stock/Get", b"mug", text=text, x_tenant="gold")
    answer, ended = call
    assert call.response.status == 200
    kind = "application/grpc-web-text" if text else "application/grpc-web"
    assert call.response.headers["content-type"] == kind
    assert call.response.headers["x-before"] == "1"
    assert answer == b"mug"
    assert isinstance(ended, Ended)
    assert ended.status == 0
    assert ended.fields["x-after"] == "2"
    assert ended.fields["x-binary-bin"] == "AP8"
    assert stock.metadata[0]["x-tenant"] == "gold"
    assert "x-request-id" in stock.metadata[0]


@both
def test_an_error_of_the_service_comes_as_it_said_it(door: Gateway, text: bool) -> None:
    (ended,) = Call(address(door), "/shop.Stock/Get", b"missing", text=text)
    assert isinstance(ended, Ended)
    assert ended.status == 5
    assert ended.fields["grpc-message"] == "100 %25 gone: '%C3%A4'"


@both
def test_messages_of_a_stream_come_one_by_one(door: Gateway, stock: Stock, text: bool) -> None:
    call = iter(Call(address(door), "/shop.Stock/Stall", b"", text=text, grpc_timeout="30S"))
    assert next(call) == b"first"
    assert not stock.cancelled.is_set(), "the message came only with the end"
    many = list(Call(address(door), "/shop.Stock/List", b"1000", text=text))
    assert many[:-1] == [f"item {index}".encode() for index in range(1000)]
    assert isinstance(many[-1], Ended)
    assert many[-1].status == 0


@both
def test_a_large_message_goes_there_and_back(door: Gateway, text: bool) -> None:
    large = bytes(range(256)) * 4096 * 3
    answer, ended = Call(address(door), "/shop.Stock/Get", large, text=text)
    assert answer == large
    assert isinstance(ended, Ended)
    assert ended.status == 0


def test_the_time_that_a_client_allows_reaches_the_service_and_ends_the_call(door: Gateway, stock: Stock) -> None:
    *_, ended = Call(address(door), "/shop.Stock/Wait", b"", grpc_timeout="500m")
    assert isinstance(ended, Ended)
    assert ended.status == 4
    assert 0 < stock.remaining[0] <= 0.5
    assert stock.cancelled.wait(30)


def test_a_stream_that_has_begun_ends_at_its_time_with_a_status(door: Gateway, stock: Stock) -> None:
    first, ended = Call(address(door), "/shop.Stock/Stall", b"", grpc_timeout="3S")
    assert first == b"first"
    assert isinstance(ended, Ended)
    assert ended.status == 4


def test_a_client_that_goes_away_cancels_the_call(door: Gateway, stock: Stock) -> None:
    call = Call(address(door), "/shop.Stock/Stall", b"")
    assert next(iter(call)) == b"first"
    assert stock.waiting.wait(30)
    # A connection that is only shut could still be read from, so this one is reset.
    stream = call.connection.sock
    assert stream is not None
    stream.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    call.response.close()
    call.connection.close()
    assert stock.cancelled.wait(30)


def test_errors_of_the_gateway_are_statuses(door: Gateway) -> None:
    (ended,) = Call(address(door), "/shop.Other/Get", b"")
    assert isinstance(ended, Ended)
    assert ended.status == 12


def test_the_access_log_has_the_status_of_a_call(door: Gateway) -> None:
    list(Call(address(door), "/shop.Stock/NoSuchMethod", b""))
    log = door.folder / "access.log"
    until(lambda: "NoSuchMethod" in log.read_text())
    line = json.loads(next(line for line in log.read_text().splitlines() if "NoSuchMethod" in line))
    assert (line["status"], line["grpc_status"]) == (200, 12)
