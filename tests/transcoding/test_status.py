"""How calls end, and what comes beside their messages."""

from __future__ import annotations

from collections.abc import Callable

import grpc
import pytest
from kitchen import kitchen as type_of_kitchen
from running import Gateway
from translated import Door

STATUSES = {
    "CANCELLED": 499,
    "UNKNOWN": 500,
    "INVALID_ARGUMENT": 400,
    "DEADLINE_EXCEEDED": 504,
    "NOT_FOUND": 404,
    "ALREADY_EXISTS": 409,
    "PERMISSION_DENIED": 403,
    "RESOURCE_EXHAUSTED": 429,
    "FAILED_PRECONDITION": 400,
    "ABORTED": 409,
    "OUT_OF_RANGE": 400,
    "UNIMPLEMENTED": 501,
    "INTERNAL": 500,
    "UNAVAILABLE": 503,
    "DATA_LOSS": 500,
    "UNAUTHENTICATED": 401,
}


@pytest.mark.parametrize("name", STATUSES)
def test_every_code_has_its_status(door: Gateway, name: str) -> None:
    code = grpc.StatusCode[name].value[0]
    answer = door.request("GET", f"/v1/fail/{code}?message=100%25+%C3%A4")
    assert (answer.status, answer.headers["content-type"]) == (STATUSES[name], "application/problem+json")
    assert (answer.json["status"], answer.json["code"]) == (STATUSES[name], name)
    assert answer.json["detail"] == "100% ä"
    assert answer.headers["x-behind"] == "2"


def test_details_are_told_where_their_types_are_known(door: Gateway) -> None:
    answer = door.request("GET", "/v1/fail/3?message=bad&details=true")
    known, unknown = answer.json["details"]
    assert known == {
        "@type": "type.googleapis.com/google.rpc.BadRequest",
        "fieldViolations": [{"field": "a.b", "description": "too small"}],
    }
    assert unknown == {"@type": "type.googleapis.com/nobody.knows.It", "value": "CAE="}


def test_metadata_goes_there_less_what_is_of_the_message(door: Gateway) -> None:
    headers = {
        "x-call": "1",
        "x-binary-bin": "AP8=",
        "authorization": "Bearer a",
        "grpc-timeout": "1n",
        "grpc-encoding": "gzip",
        "if-none-match": '"a"',
        "accept-encoding": "br",
    }
    seen = door.request("GET", "/v1/shelves/1", headers=headers).json
    metadata = seen["metadata"]
    assert (metadata["x-call"], metadata["x-binary-bin"], metadata["authorization"]) == ("1", "00ff", "Bearer a")
    assert not {"if-none-match", "accept-encoding", "accept"} & metadata.keys()
    # The time of the cluster, and not what the client says.
    assert 1 < seen["secondsLeft"] <= 30


def test_calls_of_grpc_pass_as_they_are(door: Gateway) -> None:
    options = [("grpc.enable_http_proxy", 0)]
    with grpc.insecure_channel(door.addresses["listeners"]["public"], options=options) as channel:
        call = channel.unary_unary(
            "/kitchen.v1.Kitchen/Plain",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=type_of_kitchen("Seen").FromString,
        )
        assert call(type_of_kitchen("Named")(name="a"), timeout=20).name == "a"


def test_methods_without_an_annotation_where_they_are_asked_for(host: Callable[[str], Door]) -> None:
    door = host("automatic")
    answer = door.request("POST", "/api/kitchen.v1.Kitchen/Plain", {"name": "a"})
    assert (answer.status, answer.json["method"], answer.json["name"]) == (200, "Plain", "a")
    assert door.request("GET", "/api/kitchen.v1.Kitchen/Plain").headers["allow"] == "POST"
    assert door.request("GET", "/api/v1/shelves/1").status == 200
    assert door.request("GET", "/v1/shelves/1").status == 404


def test_messages_are_bounded_either_way(host: Callable[[str], Door]) -> None:
    door = host("small")
    assert door.request("POST", "/v1/echo", {"aString": "x" * 2000}).status == 413
    # As JSON it is longer than as gRPC sends it, and the other way round.
    assert door.request("POST", "/v1/echo", {"aString": "x" * 900}).status == 200


def test_compressed_messages_are_read(host: Callable[[str], Door]) -> None:
    door = host("compressing")
    sent = {"aString": "x" * 100_000}
    assert door.request("POST", "/v1/echo", sent).json == sent
    assert len(door.request("GET", f"/v1/count/50?text={'y' * 1000}").json) == 50


def test_explain_says_which_method_it_is(door: Gateway) -> None:
    import json
    import subprocess
    import sys

    command = [sys.executable, "-m", "stagedoor", "explain", "GET", "/v1/shelves/1", "--json", "-f", "stagedoor.yaml"]
    done = subprocess.run(command, cwd=door.folder, capture_output=True, text=True, check=False)
    assert "kitchen.v1.Kitchen.GetShelf" in done.stdout, done.stdout + done.stderr
    assert json.loads(done.stdout)
