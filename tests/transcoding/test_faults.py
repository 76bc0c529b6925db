"""What clients and services do wrong."""

from __future__ import annotations

from typing import Any

import pytest
from running import Gateway, request

Json = Any


@pytest.mark.parametrize(
    ("text", "line", "column", "pointer"),
    [
        ('{"aString": 1}', 1, 13, "/aString"),
        ('{\n  "inner": {"inner": {"number": "x"}}}', 2, 33, "/inner/inner/number"),
        ('{"nothing": 1}', 1, 13, "/nothing"),
        ('{"int32s": [1, 2.5]}', 1, 16, "/int32s/1"),
        ('{"innerMap": {"1": {"text": 2}}}', 1, 29, "/innerMap/1/text"),
        ('{"innerMap": {"a": {}}}', 1, 20, "/innerMap/a"),
        ('{"aString": "a", "aString": "b"}', 1, 29, "/aString"),
        ('{"stringMap": {"a": "1", "a": "2"}}', 1, 31, "/stringMap/a"),
        ('{"innerMap": {"1": {}, "1.0": {"text": "a"}}}', 1, 31, "/innerMap/1.0"),
        ('{"struct": {"a": 1, "\\u0061": 2}}', 1, 31, "/struct/a"),
        ('{"value": {"a": {"b": 1, "b": 2}}}', 1, 31, "/value/a/b"),
        ('{"any": {"@type": "type.googleapis.com/kitchen.v1.Inner", "@type": "x"}}', 1, 68, "/any/@type"),
        ('{"choiceString": "a", "choiceInt32": 1}', 1, 38, "/choiceInt32"),
        ('{"aString": "a"', 1, 16, ""),
        ("{\"aString\": 'a'}", 1, 13, "/aString"),
        ("[]", 1, 1, ""),
        ('{"timestamp": "yesterday"}', 1, 15, "/timestamp"),
        ('{"aColour": "BLUE"}', 1, 13, "/aColour"),
        ('{"someBytes": "?"}', 1, 15, "/someBytes"),
        ('{"anInt32": 2147483648}', 1, 13, "/anInt32"),
        ('{"any": {"@type": "type.googleapis.com/no.Such"}}', 1, 9, "/any"),
        ('{"inners": [null]}', 1, 13, "/inners/0"),
        ('{"aString": "\\ud800"}', 1, 21, "/aString"),
        ("{}{}", 1, 3, ""),
        ("nonsense", 1, 1, ""),
    ],
)
def test_what_does_not_fit_is_400_with_its_place(
    door: Gateway, text: str, line: int, column: int, pointer: str
) -> None:
    address = door.addresses["listeners"]["public"]
    answer = _post(address, "/v1/echo", text.encode())
    assert (answer.status, answer.headers["content-type"]) == (400, "application/problem+json"), answer.body
    [fault] = answer.json["errors"]
    assert (fault["line"], fault["column"], fault["pointer"]) == (line, column, pointer), fault
    assert fault["in"] == "body"
    assert fault["detail"]


def _post(address: str, path: str, content: bytes, kind: str = "application/json") -> Any:
    import http.client

    from running import Answer

    connection = http.client.HTTPConnection(address, timeout=30)
    try:
        connection.request("POST", path, content, {"content-type": kind})
        response = connection.getresponse()
        return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())
    finally:
        connection.close()


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/v1/query?nothing=1", "nothing"),
        ("/v1/query?an_int32=x", "an_int32"),
        ("/v1/query?an_int32=1&an_int32=2", "an_int32"),
        ("/v1/query?inner=1", "inner"),
        ("/v1/query?string_map=1", "string_map"),
        ("/v1/query?string_map.a=1", "string_map.a"),
        ("/v1/query?timestamp=now", "timestamp"),
        ("/v1/query?a_bool=1", "a_bool"),
        ("/v1/query?a_string=%ff", "a_string"),
        ("/v1/typed/2024-01-01T00:00:00Z/BLUE/1", "a_colour"),
        ("/v1/shelves/1?name=2", "name"),
    ],
)
def test_parameters_that_do_not_fit_are_400(door: Gateway, path: str, name: str) -> None:
    answer = door.request("GET", path)
    assert answer.status == 400, answer.body
    assert answer.json["errors"][0]["name"] == name


def test_content_where_none_belongs_or_of_another_kind(door: Gateway) -> None:
    address = door.addresses["listeners"]["public"]
    assert request(address, "GET", "/v1/shelves/1", {}).status == 400
    assert _post(address, "/v1/echo", b"<a/>", "text/xml").status == 415
