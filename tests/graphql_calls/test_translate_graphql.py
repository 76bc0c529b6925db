"""REST routes that stored operations of a real service of GraphQL answer."""

from __future__ import annotations

import json
from typing import Any

import pytest
from graphql_raw import raw
from running import Gateway
from service import Service

Json = Any

TOO_MANY = {"detail": "one to five", "path": ["review"], "code": "BAD_USER_INPUT"}
MISSING = {"name": "stars", "detail": "is required"}
CASES: list[tuple[str, str, Json, int, Json]] = [
    ("GET", "/products/1?reviews=1", None, 200, {"id": "1", "title": "tea 1", "reviews": [{"stars": 1}]}),
    ("GET", "/products/2", None, 200, {"title": "cup 2"}),
    ("GET", "/products/none", None, 404, {"type": "https://stagedoor.dev/errors#nothing-found", "status": 404}),
    ("GET", "/products/broken", None, 410, {"detail": "no such shelf", "status": 410}),
    ("GET", "/products/1?reviews=many", None, 400, {"detail": "The request is not as the API describes it"}),
    ("GET", "/products/1?reviews=2147483648", None, 400, {}),
    ("GET", "/products/1?reviews=1&reviews=2", None, 400, {}),
    ("GET", "/products?q=tea", None, 200, {"found": ["tea 1", "tea 3"], "errors": 0}),
    ("GET", "/products?q=tea&limit=1", None, 200, {"found": ["tea 1"], "errors": 0}),
    ("GET", "/products?q=%22%7D%20%F0%9F%98%80", None, 200, {"found": [], "errors": 0}),
    ("GET", "/products", None, 400, {"errors": [{"name": "text", "detail": "is required"}]}),
    ("POST", "/products/1/reviews", {"stars": 5, "text": "gut"}, 201, {"stars": 5, "text": "gut"}),
    ("POST", "/products/1/reviews", {"stars": "4"}, 201, {"stars": 4, "text": None}),
    ("POST", "/products/1/reviews", {"stars": 9}, 400, {"errors": [TOO_MANY]}),
    ("POST", "/products/1/reviews", {"text": 7.5}, 400, {"errors": [MISSING]}),
    ("POST", "/products/1/reviews", [1], 400, {"errors": [MISSING]}),
]  # fmt: skip


@pytest.mark.parametrize(("method", "path", "body", "status", "expected"), CASES)
def test_a_request_is_answered_by_its_operation(
    method: str, path: str, body: Json, status: int, expected: Json, door: Gateway
) -> None:
    answer = door.request(method, path, body)
    assert answer.status == status, answer.body
    kind = "application/json" if status < 300 else "application/problem+json"
    assert answer.headers["content-type"] == kind
    assert {name: answer.json[name] for name in expected} == expected


def test_faults_name_their_place(door: Gateway) -> None:
    [fault] = door.request("GET", "/products/1?reviews=many").json["errors"]
    assert fault == {"name": "reviews", "in": "query", "detail": "must be a whole number of 32 bits"}


def test_the_service_is_asked_as_graphql_is(door: Gateway, service: Any) -> None:
    door.request("GET", "/products/4?reviews=1&other=2", headers={"if-none-match": '"x"'})
    target, content = service.requests[0]
    assert target == "POST /?"
    assert json.loads(content)["variables"] == {"id": "4", "reviews": 1}
    door.request("GET", "/products?q=a+b")
    assert service.requests[1][0].startswith("GET /?query=query%20Search")


def test_answers_are_kept_though_the_service_is_asked_by_post(door: Gateway, service: Any) -> None:
    first = door.request("GET", "/products/5")
    again = door.request("GET", "/products/5")
    assert first.json == again.json
    assert "hit" in again.headers["cache-status"]
    assert len(service.requests) == 1


def test_contents_are_json(door: Gateway, service: Any) -> None:
    for content, kind, status in [
        ("stars=5", "application/x-www-form-urlencoded", 415),
        ("{", "application/json", 400),
        ('{"stars": 1, "stars": 5}', "application/json", 400),
    ]:
        answer = raw(door, "POST", "/products/1/reviews", content.encode(), {"content-type": kind})
        assert answer.status == status
    assert service.requests == []


def test_data_beside_errors_is_an_error_unless_it_will_do(other_door: Any) -> None:
    reads = ("price { amount currency } reviews", "stock reviews")
    refused = other_door(reads).request("GET", "/products/1")
    assert (refused.status, refused.json["type"]) == (502, "https://stagedoor.dev/errors#graphql-failed")
    assert refused.json["errors"] == [{"detail": "the warehouse does not answer", "path": ["product", "stock"]}]
    told = 'partial: pass\n          body: "${ {title, errors: ($errors | length)} }"\n          statuses: {SHELF'
    passed = other_door(reads, ("statuses: {SHELF", told)).request("GET", "/products/1")
    assert (passed.status, passed.json) == (200, {"title": "tea 1", "errors": 1})


@pytest.mark.parametrize("path", ["/status/500", "/text", "/broken", "/anything"])
def test_what_is_no_answer_of_graphql_is_a_bad_reply(path: str, gateway: Any, service: Any) -> None:
    with Service() as plain:
        door = gateway(f"""
listeners: {{public: {{bind: "127.0.0.1:0"}}}}
admin: {{bind: "127.0.0.1:0"}}
clusters: {{plain: {{endpoints: ["{plain.url}"]}}}}
routes:
  one:
    match: {{path: /one}}
    policies: {{translate: {{graphql: {{operation: "{{ me }}", path: {path}}}}}}}
    target: {{cluster: plain}}
""")
        answer = door.request("GET", "/one")
        assert (answer.status, answer.json["type"]) == (502, "https://stagedoor.dev/errors#bad-reply")
