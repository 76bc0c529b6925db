"""Clients of HTTP and JSON, a service of gRPC."""

from __future__ import annotations

import pytest
from kitchen import Kitchen
from running import Gateway

Json = dict[str, object]


def test_json_goes_there_and_back(door: Gateway, kitchen: Kitchen) -> None:
    sent = {"aString": 'ä"\n', "anInt64": "9007199254740993", "inner": {"text": "in"}, "colours": ["RED", 2]}
    answer = door.request("POST", "/v1/echo", sent)
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json")
    assert answer.json == sent | {"colours": ["RED", "GREEN"]}
    assert kitchen.seen[0].an_int64 == 9007199254740993
    assert (answer.headers["x-before"], answer.headers["x-behind"], answer.headers["x-binary-bin"]) == ("1", "2", "AP8")


@pytest.mark.parametrize(
    ("method", "path", "expected"),
    [
        ("GET", "/v1/shelves/1", ("GetShelf", "shelves/1")),
        ("GET", "/v1/shelves/a%2Fb", ("GetShelf", "shelves/a%2Fb")),
        ("GET", "/v1/shelves/a%20b", ("GetShelf", "shelves/a b")),
        ("GET", "/v1/shelves/special", ("Special", "")),
        ("GET", "/v1/shelves/1/books/2", ("GetBook", "shelves/1/books/2")),
        ("GET", "/v1/shelves/1/books/2/3/4", ("GetBook", "shelves/1/books/2/3/4")),
        ("GET", "/v1/shelves/1/books", ("GetBook", "shelves/1/books")),
        ("GET", "/v1/archives/a/b/content", ("GetBook", "archives/a/b")),
        ("GET", "/v1/archives/content", ("GetBook", "archives")),
        ("POST", "/v1/shelves/1:archive", ("Archive False", "shelves/1")),
        ("POST", "/v1/shelves/a:b:archive", ("Archive False", "shelves/a:b")),
        ("POST", "/v1/shelves:archiveAll", ("Archive False", "")),
        ("GET", "/v1/shelves/1:archived", ("GetShelf", "shelves/1:archived")),
        ("PURGE", "/v1/shelves/1", ("Purge", "shelves/1")),
        ("GET", "/v1/anything/x", ("Anything", "x")),
        ("DELETE", "/v1/anything/x%2Fy", ("Anything", "x/y")),
        ("REPORT", "/v1/anything/x", ("Anything", "x")),
    ],
)
def test_paths_are_methods(door: Gateway, method: str, path: str, expected: tuple[str, str]) -> None:
    answer = door.request(method, path)
    assert answer.status == 200, answer.body
    assert (answer.json["method"], answer.json.get("name", "")) == expected


def test_what_no_method_answers(door: Gateway) -> None:
    missing = door.request("GET", "/v1/nothing")
    assert (missing.status, missing.json["type"].partition("#")[2]) == (404, "route-not-found")
    wrong = door.request("POST", "/v1/shelves/1")
    assert (wrong.status, wrong.headers["allow"]) == (405, "GET, HEAD, PURGE")
    assert door.request("GET", "/v1/shelves/").status == 404
    assert door.request("GET", "/kitchen.v1.Kitchen/Plain").status == 404
