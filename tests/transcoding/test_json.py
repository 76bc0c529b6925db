"""JSON of messages, beside the official implementation."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from typing import Any

import pytest
from google.protobuf import json_format
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from kitchen import Kitchen, pool
from kitchen import kitchen as type_of
from running import Gateway, request
from translated import Door

Json = Any
settings.register_profile("sockets", deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
BOUNDED = settings(settings.get_profile("sockets"), max_examples=150)


def reference(message: Any, **options: Any) -> Json:
    return json.loads(json_format.MessageToJson(message, descriptor_pool=pool(), **options))


SIGNED = {32: st.integers(-(2**31), 2**31 - 1), 64: st.integers(-(2**63), 2**63 - 1)}
UNSIGNED = {32: st.integers(0, 2**32 - 1), 64: st.integers(0, 2**64 - 1)}
FLOATS = st.floats(width=32)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
BYTES = st.binary(max_size=20)
COLOURS = st.sampled_from([0, 1, 2, -5, 77])
SECONDS = st.integers(-62135596800, 253402300799)
NANOS = st.one_of(st.just(0), st.integers(0, 999_999_999), st.integers(0, 999).map(lambda n: n * 1_000_000))
PLAIN = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)

FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "a_double": st.floats(),
    "a_float": FLOATS,
    "an_int32": SIGNED[32],
    "an_int64": SIGNED[64],
    "a_uint32": UNSIGNED[32],
    "a_uint64": UNSIGNED[64],
    "a_sint32": SIGNED[32],
    "a_sint64": SIGNED[64],
    "a_fixed32": UNSIGNED[32],
    "a_fixed64": UNSIGNED[64],
    "a_sfixed32": SIGNED[32],
    "a_sfixed64": SIGNED[64],
    "a_bool": st.booleans(),
    "a_string": TEXT,
    "some_bytes": BYTES,
    "a_colour": COLOURS,
    "doubles": st.lists(st.floats(), max_size=3),
    "int32s": st.lists(SIGNED[32], max_size=3),
    "uint64s": st.lists(UNSIGNED[64], max_size=3),
    "sint32s": st.lists(SIGNED[32], max_size=3),
    "bools": st.lists(st.booleans(), max_size=3),
    "strings": st.lists(TEXT, max_size=3),
    "bytess": st.lists(BYTES, max_size=3),
    "colours": st.lists(COLOURS, max_size=3),
    "unpacked": st.lists(SIGNED[32], max_size=3),
    "optional_int32": SIGNED[32],
    "optional_string": TEXT,
    "optional_colour": COLOURS,
    "choice_string": TEXT,
    "choice_int32": SIGNED[32],
    "choice_null": st.just(0),
    "string_map": st.dictionaries(TEXT, TEXT, max_size=3),
    "bool_map": st.dictionaries(st.booleans(), st.floats(), max_size=2),
    "colour_map": st.dictionaries(UNSIGNED[64], COLOURS, max_size=3),
    "other_name": TEXT,
    "far": TEXT,
}
WRAPPED: dict[str, st.SearchStrategy[Any]] = {
    "double_value": st.floats(),
    "float_value": FLOATS,
    "int64_value": SIGNED[64],
    "uint64_value": UNSIGNED[64],
    "int32_value": SIGNED[32],
    "uint32_value": UNSIGNED[32],
    "bool_value": st.booleans(),
    "string_value": TEXT,
    "bytes_value": BYTES,
}


@st.composite
def inners(draw: st.DrawFn, depth: int = 3) -> Any:
    inner = type_of("Inner")(text=draw(TEXT), number=draw(SIGNED[64]), numbers=draw(st.lists(SIGNED[32], max_size=2)))
    if depth and draw(st.booleans()):
        inner.inner.CopyFrom(draw(inners(depth - 1)))
    return inner


@st.composite
def messages(draw: st.DrawFn) -> Any:
    message = type_of("All")()
    for name in draw(st.lists(st.sampled_from(sorted(FIELDS)), max_size=6, unique=True)):
        value = draw(FIELDS[name])
        if isinstance(value, list):
            getattr(message, name).extend(value)
        elif isinstance(value, dict):
            getattr(message, name).update(value)
        else:
            setattr(message, name, value)
    for name in draw(st.lists(st.sampled_from(sorted(WRAPPED)), max_size=3, unique=True)):
        getattr(message, name).value = draw(WRAPPED[name])
    for kind in draw(st.lists(st.integers(0, 9), max_size=4, unique=True)):
        match kind:
            case 0:
                message.timestamp.seconds, message.timestamp.nanos = draw(SECONDS), draw(NANOS)
            case 1:
                sign = draw(st.sampled_from([-1, 1]))
                message.duration.seconds = sign * draw(st.integers(0, 315576000000 - 1))
                message.duration.nanos = sign * draw(NANOS)
            case 2:
                message.field_mask.paths.extend(draw(st.lists(st.from_regex(r"[a-z]+(_[a-z]+)?", fullmatch=True))))
            case 3:
                json_format.ParseDict(draw(st.dictionaries(TEXT, PLAIN, max_size=3)), message.struct)
            case 4:
                json_format.ParseDict(draw(PLAIN), message.value)
            case 5:
                json_format.ParseDict(draw(st.lists(PLAIN, max_size=3)), message.list_value)
            case 6:
                message.any.Pack(draw(inners()))
            case 7:
                message.inner.CopyFrom(draw(inners()))
            case 8:
                message.inners.extend(draw(st.lists(inners(1), max_size=2)))
            case 9:
                message.inner_map[draw(SIGNED[32])].CopyFrom(draw(inners(1)))
    return message


def same(one: Any, two: Any) -> bool:
    """NaN is itself here, and JSON's numbers of 32 bits are compared as such."""
    if isinstance(one, float) and isinstance(two, float | int):
        return (
            one == two or (math.isnan(one) and math.isnan(two)) or math.isclose(one, two, rel_tol=1e-6, abs_tol=2e-45)
        )
    if isinstance(one, dict) and isinstance(two, dict):
        return one.keys() == two.keys() and all(same(one[key], two[key]) for key in one)
    if isinstance(one, list) and isinstance(two, list):
        return len(one) == len(two) and all(map(same, one, two))
    return bool(one == two)


@BOUNDED
@given(messages())
def test_a_message_has_the_json_that_it_has_elsewhere_and_comes_back(
    door: Gateway, kitchen: Kitchen, message: Any
) -> None:
    kitchen.seen.clear()
    expected = reference(message)
    answer = door.request("POST", "/v1/echo", expected)
    assert answer.status == 200, answer.body
    # What was sent is what was meant: unknown numbers of enums and NaN among it.
    assert same(reference(kitchen.seen[0]), expected)
    assert same(answer.json, expected), answer.body


@BOUNDED
@given(messages())
def test_json_is_written_by_rule(host: Callable[[str], Door], message: Any) -> None:
    if message.WhichOneof("choice") == "choice_null":
        # Which the official implementation writes as 0 here, and as null elsewhere.
        message.ClearField("choice_null")
    options = {"always_print_fields_with_no_presence": True, "preserving_proto_field_name": True}
    expected = reference(message, use_integers_for_enums=True, **options)
    answer = host("written").request("POST", "/v1/echo", reference(message))
    assert answer.status == 200, answer.body
    assert same(answer.json, expected), (answer.json, expected)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"an_int32": 1.0, "anInt64": 1e3, "a_uint64": "18446744073709551615"}', {"an_int32": 1, "an_int64": 1000}),
        ('{"aDouble": "NaN", "aFloat": "-Infinity"}', {"a_float": -math.inf}),
        ('{"someBytes": "-_8", "bytess": ["+/8=", "+/8"]}', {"some_bytes": b"\xfb\xff", "bytess": [b"\xfb\xff"] * 2}),
        ('{"aColour": "GREEN", "colours": [1, "BELOW"]}', {"a_colour": 2, "colours": [1, -5]}),
        ('{"aString": null, "int32s": null, "inner": null, "timestamp": null}', {}),
        ('{"optionalInt32": 0, "optionalString": ""}', {"optional_int32": 0, "optional_string": ""}),
        ('{"@other": "a", "other_name": null}', {"other_name": "a"}),
        ('{"\\u0061String": "\\ud83d\\ude00"}', {"a_string": "\N{GRINNING FACE}"}),
        ('{"choiceNull": null}', {"choice_null": 0}),
    ],
)
def test_json_is_read_in_all_its_forms(door: Gateway, kitchen: Kitchen, text: str, expected: Json) -> None:
    answer = door.request("POST", "/v1/echo", json.loads(text), None)
    assert answer.status == 200, answer.body
    seen = kitchen.seen[-1]
    for name, value in expected.items():
        got = getattr(seen, name)
        assert (list(got) if isinstance(value, list) else got) == value, name


def test_optional_fields_of_proto3_are_there_or_not(door: Gateway, kitchen: Kitchen) -> None:
    """Gateways took them for oneofs, or refused them."""
    assert door.request("POST", "/v1/echo", {"optionalInt32": 0}).json == {"optionalInt32": 0}
    assert kitchen.seen[-1].HasField("optional_int32")
    assert door.request("POST", "/v1/echo", {}).json == {}
    assert not kitchen.seen[-1].HasField("optional_int32")


def test_a_value_that_is_null_is_there(door: Gateway, kitchen: Kitchen) -> None:
    assert door.request("POST", "/v1/echo", {"value": None, "valueMap": {"a": None}}).status == 200
    assert kitchen.seen[-1].value.WhichOneof("kind") == "null_value"


@pytest.mark.parametrize(
    "packed",
    [
        ("Timestamp", "2024-01-01T00:00:00Z"),
        ("Duration", "1.500s"),
        ("Struct", {"a": [1.5, None]}),
        ("Value", "x"),
        ("Int64Value", "5"),
        ("StringValue", ""),
        ("Any", {"@type": "type.googleapis.com/google.protobuf.Int32Value", "value": 7}),
    ],
)
def test_any_holds_what_has_json_of_its_own(door: Gateway, packed: tuple[str, Json]) -> None:
    sent = {"any": {"@type": f"type.googleapis.com/google.protobuf.{packed[0]}", "value": packed[1]}}
    answer = door.request("POST", "/v1/echo", sent)
    assert answer.json == sent
    behind = {"any": {"value": packed[1], "@type": sent["any"]["@type"]}}
    assert door.request("POST", "/v1/echo", behind).json == sent


def test_what_is_unknown_is_passed_over_where_that_is_asked_for(host: Callable[[str], Door], kitchen: Kitchen) -> None:
    door = host("lenient")
    sent = {"nothing": [1, {"a": 2}], "aColour": "BLUE", "colours": ["RED", "BLUE"], "aString": "a", "inner": {"x": 1}}
    assert door.request("POST", "/v1/echo", sent).json == {"aString": "a", "colours": ["RED"], "inner": {}}
    assert door.request("GET", "/v1/query?nothing=1&a_string=b").json == {"aString": "b"}


QUERY = (
    "a_string=a+b&anInt64=-1&int32s=1&int32s=2&inner.text=t&inner.inner.number=5&colours=RED&colours=2&a_bool=true"
    "&timestamp=2024-01-01T00:00:00Z&duration=1.5s&field_mask=aB,c&int32_value=7&string_value=&some_bytes=-_8"
    "&optional_int32=0&a_double=NaN&int32_values=1&int32_values=2&timestamps=2024-01-01T00:00:00%2B01:00&%40other=o"
    "&choice_int32=3&inner.numbers=1&inner.numbers=2"
)


def test_parameters_of_the_query_are_fields(door: Gateway) -> None:
    answer = door.request("GET", f"/v1/query?{QUERY}")
    assert answer.status == 200, answer.body
    assert answer.json == {
        "aDouble": "NaN",
        "anInt64": "-1",
        "aBool": True,
        "aString": "a b",
        "someBytes": "+/8=",
        "inner": {"text": "t", "inner": {"number": "5"}, "numbers": [1, 2]},
        "int32s": [1, 2],
        "colours": ["RED", "GREEN"],
        "optionalInt32": 0,
        "choiceInt32": 3,
        "timestamp": "2024-01-01T00:00:00Z",
        "duration": "1.500s",
        "fieldMask": "aB,c",
        "timestamps": ["2023-12-31T23:00:00Z"],
        "int32Value": 7,
        "stringValue": "",
        "int32Values": [1, 2],
        "@other": "o",
    }


def test_path_query_and_content_make_one_message(door: Gateway, kitchen: Kitchen) -> None:
    answer = door.request("PUT", "/v1/echo/a%2Fb/7?a_bool=true", {"text": "t", "inner": {}})
    assert answer.json == {"anInt32": 7, "aBool": True, "aString": "a/b", "inner": {"text": "t", "inner": {}}}
    book = door.request("PATCH", "/v1/shelves/1/books/2?mask=title", {"title": "T", "name": "not this"})
    assert book.json == {"name": "shelves/1/books/2", "title": "T"}
    assert list(kitchen.seen[-1].mask.paths) == ["title"]
    assert door.request("PATCH", "/v1/shelves/1/books/2?mask=*", {"title": "T"}).status == 200
    assert list(kitchen.seen[-1].mask.paths) == ["*"]
    masked = {"fieldMask": "*,items.*.aB"}
    assert door.request("POST", "/v1/echo", masked).json == masked
    typed = door.request("GET", "/v1/typed/2024-01-01T00:00:00Z/RED/5").json
    assert typed == {"timestamp": "2024-01-01T00:00:00Z", "aColour": "RED", "int64Value": "5"}
    assert door.request("GET", "/v1/nested/x").json == {"inner": {"inner": {"text": "x"}}}


def test_a_field_may_be_all_of_the_answer(door: Gateway) -> None:
    assert door.request("GET", "/v1/authors?authors=a&authors=b").json == ["a", "b"]
    assert door.request("GET", "/v1/authors").json == []


def test_head_is_answered_where_get_is(door: Gateway) -> None:
    address = door.addresses["listeners"]["public"]
    answer = request(address, "HEAD", "/v1/shelves/1")
    assert (answer.status, answer.body) == (200, b"")
