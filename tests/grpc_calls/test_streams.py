"""How long calls of gRPC may go on: streams for as long as somebody speaks."""

from __future__ import annotations

import queue
from collections.abc import Callable, Iterator

import grpc
import pytest
from running import Gateway

Dial = Callable[[Gateway], grpc.Channel]
BRISK = ("timeouts: {request: 10m}", "timeouts: {request: 300ms}")
"""A cluster that gives answers little time."""


class Said:
    """What the client says, as it says it."""

    def __init__(self) -> None:
        self._said: queue.Queue[bytes | None] = queue.Queue()

    def say(self, message: bytes | None) -> None:
        self._said.put(message)

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._said.get, None)


def let_the_clusters_time_pass(channel: grpc.Channel) -> None:
    """Twice: calls that are not answered take all of it."""
    for _ in range(2):
        assert ended(lambda: channel.unary_unary("/shop.Stock/Wait")(b"", timeout=60)) == "DEADLINE_EXCEEDED"


def ended(call: Callable[[], object]) -> str:
    with pytest.raises(grpc.RpcError) as raised:
        call()
    return raised.value.code().name


def test_a_stream_outlives_the_clusters_time_whoever_is_silent(
    changed_door: Callable[..., Gateway], dial: Dial
) -> None:
    channel = dial(changed_door(BRISK))
    early, late, upload = Said(), Said(), Said()
    begun = channel.stream_stream("/shop.Stock/Chat")(iter(early), timeout=60)
    silent = channel.stream_stream("/shop.Stock/Chat")(iter(late), timeout=60)
    summed = channel.stream_unary("/shop.Stock/Sum").future(iter(upload), timeout=60)
    early.say(b"one")
    upload.say(b"123")
    assert next(begun) == b"ONE"
    let_the_clusters_time_pass(channel)
    for said, answers in ((early, begun), (late, silent)):
        said.say(b"two")
        assert next(answers) == b"TWO"
        said.say(None)
        assert list(answers) == []
    upload.say(b"45")
    upload.say(None)
    assert summed.result(60) == b"5"


def test_a_clients_own_time_may_be_longer_than_the_clusters(changed_door: Callable[..., Gateway], dial: Dial) -> None:
    channel = dial(changed_door(BRISK))
    answers = channel.unary_stream("/shop.Stock/Stall")(b"", timeout=60)
    assert next(answers) == b"first"
    let_the_clusters_time_pass(channel)
    assert answers.is_active()
    answers.cancel()


@pytest.mark.parametrize("begun", [True, False])
def test_a_stream_in_which_nobody_speaks_ends(changed_door: Callable[..., Gateway], dial: Dial, begun: bool) -> None:
    channel = dial(changed_door(BRISK, ("limits: {body: 100MiB}", "limits: {body: 100MiB, stream_idle: 300ms}")))
    said = Said()
    answers = channel.stream_stream("/shop.Stock/Chat")(iter(said), timeout=60)
    if begun:
        said.say(b"one")
        assert next(answers) == b"ONE"
    assert ended(lambda: next(answers)) == "DEADLINE_EXCEEDED"
    said.say(None)


def test_a_time_that_the_route_sets_ends_a_stream(changed_door: Callable[..., Gateway], dial: Dial) -> None:
    channel = dial(changed_door(("limits: {body: 100MiB}", "limits: {body: 100MiB, request: 500ms}")))
    said = Said()
    answers = channel.stream_stream("/shop.Stock/Chat")(iter(said), timeout=60)

    def talk() -> None:
        while True:
            said.say(b"one")
            next(answers)

    assert ended(talk) == "DEADLINE_EXCEEDED"
    said.say(None)


def test_a_client_that_is_silent_for_longer_than_a_body_may_pause_is_heard(
    changed_door: Callable[..., Gateway], dial: Dial
) -> None:
    channel = dial(changed_door(BRISK, ("http2: {h2c: true}", "http2: {h2c: true}, limits: {body_idle: 100ms}")))
    said = Said()
    answers = channel.stream_stream("/shop.Stock/Chat")(iter(said), timeout=60)
    let_the_clusters_time_pass(channel)
    said.say(b"one")
    assert next(answers) == b"ONE"
    said.say(None)
