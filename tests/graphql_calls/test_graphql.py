"""Documents on their way to a real service of GraphQL: what passes, and what does not and why."""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from graphql import get_introspection_query
from graphql_raw import raw
from ruamel.yaml import YAML
from running import Answer, Gateway, until
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect
from websockets.typing import Subprotocol

Json = Any
CASES = Path(__file__).parent / "cases"
PREFLIGHT = {"apollo-require-preflight": "1"}


def expanded(text: str) -> str:
    """``⟦text × 100⟧`` is the text that often, ``⟦text × 100, #⟧`` with the number in place of each ``#``."""

    def several(match: re.Match[str]) -> str:
        return " ".join(match[1].replace("#", str(n)) if match[3] else match[1] for n in range(int(match[2])))

    return re.sub(r"⟦([^⟧]+?) × (\d+)(, #)?⟧", several, text, flags=re.DOTALL)


EXAMPLE = Path(__file__).parents[2] / "examples/graphql"
HASH = hashlib.sha256((EXAMPLE / "operations/product.graphql").read_bytes()).hexdigest()


def cases() -> list[tuple[str, Json]]:
    files = {file.stem: file.read_text().replace("PRODUCT", HASH) for file in sorted(CASES.glob("*.yaml"))}
    loaded = [(stem, case) for stem, text in files.items() for case in YAML(typ="safe").load(text)]
    return [(f"{stem}: {case['case']}", case) for stem, case in loaded]


def send(door: Gateway, case: Json) -> Answer:
    """A case as a request: by default a POST of its document."""
    headers = {"accept": "application/graphql-response+json", "content-type": "application/json"}
    headers |= {name.lower(): value for name, value in case.get("headers", {}).items()}
    target = case.get("path", "/graphql")
    names = {"document": "query", "operation": "operationName", "variables": "variables", "extensions": "extensions"}
    body = {written: case[name] for name, written in names.items() if name in case}
    if "query" in body:
        body["query"] = expanded(body["query"])
    body |= case.get("more", {})
    method = case.get("method", "POST")
    if method in ("GET", "HEAD"):
        text = {name: value if isinstance(value, str) else json.dumps(value) for name, value in body.items()}
        target += "?" + case.get("raw", urlencode(text))
        if "content-type" not in {name.lower() for name in case.get("headers", {})}:
            headers.pop("content-type")
        return raw(door, method, target, b"", {name: value for name, value in headers.items() if value})
    content = expanded(case["raw"]).encode() if "raw" in case else json.dumps(case.get("list", body)).encode()
    return raw(door, method, target, content, {name: value for name, value in headers.items() if value})


@pytest.mark.parametrize(("case"), [case for _, case in cases()], ids=[name for name, _ in cases()])
def test_a_document_passes_or_not(case: Json, door: Gateway, service: Any) -> None:
    answer = send(door, case)
    verdict = case["verdict"]
    if verdict == "passes":
        assert answer.status == case.get("status", 200), answer.body
        assert len(service.requests) == 1
        if case.get("method") != "HEAD":
            told = answer.json if isinstance(answer.json, list) else [answer.json]
            assert all("data" in one for one in told), answer.body
        if "data" in case:
            assert answer.json == {"data": case["data"]}
    else:
        assert service.requests == []
        assert answer.status == case["status"], answer.body
        assert answer.headers["content-type"] == "application/graphql-response+json"
        codes = {error["extensions"]["code"] for error in answer.json["errors"]}
        assert codes == {verdict}, answer.body
        if "message" in case:
            assert case["message"] in answer.json["errors"][0]["message"]
    for name, value in case.get("answered", {}).items():
        assert answer.headers.get(name) == value
    if "reached" in case:
        target, content = service.requests[0]
        assert (json.loads(content) if content else target) == case["reached"]


def ask(door: Gateway, document: str, path: str = "/graphql", **headers: str) -> Answer:
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return door.request("POST", path, {"query": document}, fields)


def test_errors_are_told_as_the_client_takes_them(door: Gateway) -> None:
    for accept, kind in [
        ("application/graphql-response+json", "application/graphql-response+json"),
        ("application/graphql-response+json, application/json;q=0.9", "application/graphql-response+json"),
        ("application/json", "application/json"),
        ("*/*", "application/graphql-response+json"),
        ("text/event-stream", "application/problem+json"),
    ]:
        answer = ask(door, "{ nothing }", accept=accept)
        assert (answer.status, answer.headers["content-type"]) == (400, kind)
    problem = ask(door, "{\n  nothing\n}", accept="text/event-stream").json
    assert problem["type"].endswith("#graphql-validation-failed")
    assert problem["errors"] == [{"message": "Query has no field nothing", "locations": [{"line": 2, "column": 3}]}]
    told = ask(door, "{\n  nothing\n}").json["errors"][0]
    assert told["locations"] == [{"line": 2, "column": 3}]
    assert told["extensions"]["request_id"]
    refused = ask(door, "{ me }", accept="text/html")
    assert (refused.status, refused.headers["content-type"]) == (406, "application/problem+json")


def test_errors_of_the_gateway_later_on_are_told_so_too(other_door: Any) -> None:
    door = other_door(
        ("shop: {endpoints", 'gone: {endpoints: ["http://127.0.0.1:1"]}\n  shop: {endpoints'),
        ("cluster: shop", "cluster: gone"),
    )
    answer = ask(door, "{ me }")
    assert (answer.status, answer.headers["content-type"]) == (502, "application/graphql-response+json")
    assert answer.json["errors"][0]["extensions"]["code"] == "ENDPOINT_UNREACHABLE"


def test_a_document_that_came_once_is_asked_for_by_its_hash(door: Gateway, service: Any) -> None:
    document = "query Once($id: ID!) { product(id: $id) { title } }"
    persisted = {"persistedQuery": {"version": 1, "sha256Hash": hashlib.sha256(document.encode()).hexdigest()}}
    alone = {"extensions": persisted, "variables": {"id": "3"}}
    missed = door.request("POST", "/graphql", alone)
    assert missed.json["errors"][0]["extensions"]["code"] == "PERSISTED_QUERY_NOT_FOUND"
    assert door.request("POST", "/graphql", alone | {"query": document}).status == 200
    by_post = door.request("POST", "/graphql", alone)
    target = urlencode({"extensions": json.dumps(persisted), "variables": '{"id": "3"}', "v": "1"}, quote_via=quote)
    by_get = door.request("GET", f"/graphql?{target}", headers=PREFLIGHT)
    assert by_post.json == by_get.json == {"data": {"product": {"title": "tea 3"}}}
    # The service need not know of hashes.
    assert "persistedQuery" not in service.requests[-1][0] + service.requests[-2][1].decode()
    assert "v=1&query=query%20Once" in service.requests[-1][0]


def test_a_tool_asks_for_the_whole_schema(door: Gateway) -> None:
    answer = ask(door, get_introspection_query(), x_api_key="tools-key-1234567890")
    assert answer.json["data"]["__schema"]["queryType"]["name"] == "Query"


def test_the_log_and_the_metrics_name_operations(door: Gateway) -> None:
    ask(door, "query Mine { me }")
    door.request("POST", "/known", {"operationName": "Search", "variables": {"text": "tea"}})
    ask(door, "query Refused { products(first: 499) { edges { node { id } } } }")

    def logged() -> Json:
        lines = [json.loads(line) for line in (door.folder / "access.log").read_text().splitlines()]
        found = {line.get("graphql", {}).get("name"): line["graphql"] for line in lines if "graphql" in line}
        return found if {"Mine", "Search", "Refused"} <= found.keys() else None

    found = until(logged)
    assert found["Mine"] == {"type": "query", "name": "Mine", "operations": 1, "cost": 0}
    assert found["Refused"]["cost"] == 999
    metrics = door.metrics()
    assert 'stagedoor_graphql_operations_total{route="known",type="query",name="Search"}' in metrics
    assert 'stagedoor_graphql_operations_total{route="graphql",type="query",name=""}' in metrics
    assert "Mine" not in metrics
    assert 'stagedoor_errors_total{code="operation-too-complex"}' in metrics


def test_without_a_schema_lengths_multiply_whatever_is_below(loose_door: Gateway) -> None:
    assert ask(loose_door, "{ product(id: 1) { reviews(first: 99) { stars } } }", "/loose").status == 200
    assert ask(loose_door, "{ products(first: 50) { edges { cursor } } }", "/loose").status == 200
    refused = ask(loose_door, "{ products(first: 51) { edges { cursor } } }", "/loose")
    assert refused.json["errors"][0]["message"] == "The operation costs 102; 100 are allowed"
    assert ask(loose_door, "{ nothing }", "/loose").json["errors"][0]["message"].startswith("Cannot query field")


def test_kinds_of_operations_are_refused(loose_door: Gateway, service: Any) -> None:
    answer = ask(loose_door, "mutation { review(product: 1, stars: 1) { stars } }", "/loose")
    assert (answer.status, answer.json["errors"][0]["message"]) == (403, "A mutation is not allowed here")
    assert service.requests == []


def test_what_is_not_looked_at_passes_only_where_it_is_let(door: Gateway, loose_door: Gateway, service: Any) -> None:
    hello = '{"type": "connection_init"}'
    asked = {"id": "1", "type": "subscribe", "payload": {"query": "subscription { prices(product: 1) { amount } }"}}
    address = loose_door.addresses["listeners"]["public"]
    with connect(f"ws://{address}/loose", subprotocols=[Subprotocol("graphql-transport-ws")]) as socket:
        socket.send(hello)
        assert json.loads(socket.recv())["type"] == "connection_ack"
        socket.send(json.dumps(asked))
        assert json.loads(socket.recv())["payload"]["data"] == {"prices": {"amount": 0.0}}
    with pytest.raises(InvalidStatus) as refused:
        connect(f"ws://{door.addresses['listeners']['public']}/graphql")
    assert refused.value.response.status_code == 403
    service.requests.clear()
    form = {"content-type": "multipart/form-data; boundary=x", "apollo-require-preflight": "1"}
    parts = b'--x\r\nContent-Disposition: form-data; name="operations"\r\n\r\n{"query": "{ me }"}\r\n--x--\r\n'
    assert raw(door, "POST", "/graphql", parts, form).status == 415
    assert service.requests == []
    raw(loose_door, "POST", "/loose", parts, form)
    assert len(service.requests) == 1


def test_a_subscription_is_measured_and_its_events_pass(door: Gateway, loose_door: Gateway) -> None:
    fields = {"accept": "text/event-stream"}
    answer = door.request("POST", "/graphql", {"query": "subscription { prices(product: 1) { amount } }"}, fields)
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.body.count(b"amount") == 3
    deep = "subscription { " + "".join(f"a{n}: prices(product: 1) {{ amount }} " for n in range(40)) + "}"
    assert door.request("POST", "/graphql", {"query": deep}, fields).status == 400


def test_a_filled_in_document_is_cached_by_what_it_says(loose_door: Gateway, service: Any) -> None:
    persisted = {"persistedQuery": {"version": 1, "sha256Hash": HASH}}
    target = "/cached?" + urlencode({"extensions": json.dumps(persisted), "variables": '{"id": "4"}'})
    first = loose_door.request("GET", target, headers=PREFLIGHT)
    again = loose_door.request("GET", target, headers=PREFLIGHT)
    other = loose_door.request("GET", target.replace("%224%22", "%225%22"), headers=PREFLIGHT)
    assert first.json == again.json
    assert (first.json["data"]["product"]["id"], other.json["data"]["product"]["id"]) == ("4", "5")
    assert len(service.requests) == 2


def test_documents_of_a_list_are_filled_in_one_by_one(loose_door: Gateway, service: Any) -> None:
    asked = [{"id": "Product", "variables": {"id": "1"}}, {"query": "{ me }", "id": None}]
    answer = loose_door.request("POST", "/cached", asked)
    assert answer.json[0]["data"]["product"]["id"] == "1"
    assert answer.json[1] == {"data": {"me": None}}
    written = json.loads(service.requests[0][1])
    assert [sorted(one) for one in written] == [["operationName", "query", "variables"], ["query"]]
