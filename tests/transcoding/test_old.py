"""What proto3 has no longer, beside the official implementation."""

from __future__ import annotations

import json
from typing import Any

import pytest
from google.protobuf import json_format
from kitchen import Kitchen, pool, type_of
from running import Gateway

Json = Any


@pytest.mark.parametrize(
    "sent",
    [
        {"number": 0},
        {"number": 1, "text": ""},
        {"number": 1, "text": "none", "kind": "SECOND"},
        {"number": 1, "numbers": [0, 1, -1], "packed": [0, 300]},
        {"number": 1, "part": {}},
        {"number": 1, "part": {"name": "a", "old": {"number": 2, "part": {"name": "b"}}}},
        {"number": 1, "piece": [{"size": 1}, {}, {"size": 3}]},
        {"number": 1, "kind": "FIRST", "kinds": ["SECOND", "FIRST"], "levelMap": {"a": "HIGH", "b": "LOW"}},
        {"number": 1, "[old.v1.more]": "", "[old.v1.most]": [1, 2], "[old.v1.inner]": {"number": 3}},
    ],
)
def test_it_has_the_json_that_it_has_elsewhere(door: Gateway, kitchen: Kitchen, sent: Json) -> None:
    meant = json_format.ParseDict(sent, type_of("old.v1.Old")(), descriptor_pool=pool())
    answer = door.request("POST", "/old/keep", sent)
    assert answer.status == 200, answer.body
    assert kitchen.seen[-1] == meant
    assert answer.json == json.loads(json_format.MessageToJson(meant, descriptor_pool=pool())) == sent


@pytest.mark.parametrize(
    ("sent", "pointer"),
    [
        ({"number": 1, "kind": 5}, "/kind"),
        ({"number": 1, "kind": "THIRD"}, "/kind"),
        ({"number": 1, "kinds": [1, 5]}, "/kinds/1"),
        ({"number": 1, "levelMap": {"a": 5}}, "/levelMap/a"),
        ({"number": 1, "[old.v1.nothing]": 1}, "/[old.v1.nothing]"),
        ({"number": 1, "Part": 1}, "/Part"),
        ({"number": 1, "part": {"size": 1}}, "/part/size"),
    ],
)
def test_what_it_cannot_hold_is_refused_as_elsewhere(door: Gateway, kitchen: Kitchen, sent: Json, pointer: str) -> None:
    with pytest.raises(json_format.ParseError):
        json_format.ParseDict(sent, type_of("old.v1.Old")(), descriptor_pool=pool())
    answer = door.request("POST", "/old/keep", sent)
    assert (answer.status, [fault["pointer"] for fault in answer.json.get("errors", [])]) == (400, [pointer])
    assert not kitchen.seen


def test_numbers_of_a_closed_enum_are_those_that_have_names(door: Gateway, kitchen: Kitchen) -> None:
    assert door.request("POST", "/old/keep", {"number": 1, "kind": 2}).json == {"number": 1, "kind": "SECOND"}
    assert door.request("GET", "/old/1/0").json == {"number": 0, "kind": "FIRST"}
    assert door.request("GET", "/old/5/0").status == 400
    # What comes with others is as if it were not there.
    renewed = {"number": 7, "kinds": ["FIRST", "SECOND"], "levelMap": {"a": "HIGH"}}
    assert door.request("POST", "/old/renew", {"number": 1}).json == renewed


def test_whether_required_fields_are_there_is_left_to_the_service(door: Gateway, kitchen: Kitchen) -> None:
    assert door.request("POST", "/old/keep", {"text": "a"}).status == 500
    assert kitchen.seen[-1].text == "a"


def test_a_field_that_is_all_of_the_answer_has_its_own_default(door: Gateway) -> None:
    assert door.request("POST", "/old/text", {"number": 1, "text": "a"}).json == "a"
    assert door.request("POST", "/old/text", {"number": 1}).json == "none"
