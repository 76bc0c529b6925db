"""Requests whose every byte is the test's."""

from __future__ import annotations

from http.client import HTTPConnection

from running import Answer, Gateway


def raw(door: Gateway, method: str, target: str, content: bytes, headers: dict[str, str]) -> Answer:
    connection = HTTPConnection(next(iter(door.addresses["listeners"].values())), timeout=60)
    try:
        connection.request(method, target, content, headers)
        response = connection.getresponse()
        answered = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, answered, response.read())
    finally:
        connection.close()
