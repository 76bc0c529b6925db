"""Values that are JSON for some and not for all: whoever sends them, an execution goes on, or fails as it should."""

from __future__ import annotations

import http.client
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import pytest
from flow import call, config, write
from running import Gateway, until
from service import Service

Start = Callable[..., Gateway]
ODD = {
    "half a character": r'{"a": "\ud800"}',
    "half a character as a key": r'{"\udfff": 1}',
    "a long number": '{"a": 1' + "0" * 3000 + "}",
    "a number that is too large": '{"a": 1e400}',
    "deep": "[" * 300 + "]" * 300,
}


@pytest.mark.parametrize("text", ODD.values(), ids=ODD)
def test_an_answer_that_no_expression_could_hold_is_none(
    text: str, gateway: Start, service: Service, tmp_path: Path
) -> None:
    write(tmp_path, [{"c": call(f"/says/{quote(text, safe='')}")}, {"s": {"set": {"v": "${ . }"}}}])
    running = gateway(config(service.port))
    answer = running.request("POST", "/flow", {})
    assert (answer.status, "not the JSON" in answer.json["detail"]) == (502, True)
    assert "cannot go on" not in running.log


def test_a_number_that_json_does_not_have_is_null(gateway: Start, service: Service, tmp_path: Path) -> None:
    odd = {"a": "${ infinite }", "b": "${ {n: [nan, 1]} }", "c": "${ -infinite }", "d": "${ pow(10; 400) }"}
    told = {"emit": {"event": {"with": {"type": "odd", "data": "${ {n: nan} }"}}}}
    write(tmp_path, [{"e": told}, {"s": {"set": odd, "export": {"as": "${ .a }"}}}, {"w": {"wait": "PT0.001S"}}])
    running = gateway(config(service.port))
    assert running.request("POST", "/flow", {}).json == {"a": None, "b": {"n": [None, 1]}, "c": None, "d": None}


@pytest.mark.parametrize("text", ODD.values(), ids=ODD)
def test_an_event_of_a_stranger_leaves_listeners_as_they_are(
    text: str, gateway: Start, service: Service, tmp_path: Path
) -> None:
    paid = {"with": {"type": "paid", "data": "${ .n == 1 }"}}
    write(tmp_path, [{"l": {"listen": {"to": {"one": paid}}}}])
    running = gateway(config(service.port))
    location = running.request("POST", "/flow", {}, {"prefer": "respond-async"}).headers["location"]
    until(lambda: running.request("GET", location).json["status"] == "waiting")
    event = {"specversion": "1.0", "id": "1", "source": "/s", "type": "paid", "data": "DATA"}
    sent = json.dumps(event).replace('"DATA"', text)
    assert send(running, sent) == 400
    good: dict[str, Any] = {**event, "id": "2", "data": {"n": 1}}
    assert send(running, json.dumps(good)) == 202
    status = until(lambda: (found := running.request("GET", location).json)["status"] == "completed" and found)
    assert status["output"] == [{"n": 1}]


def send(running: Gateway, body: str) -> int:
    where = urlsplit(running.admin_url)
    connection = http.client.HTTPConnection(where.hostname or "", where.port)
    connection.request("POST", "/events", body.encode(), {"content-type": "application/cloudevents+json"})
    status = connection.getresponse().status
    connection.close()
    return status
