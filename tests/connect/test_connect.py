"""A real client of Connect, the gateway, and a real server of gRPC."""

from __future__ import annotations

import gzip
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.client import HTTPConnection
from typing import Any

import grpc
import httpx
import pytest
from asked import Asked, messages, services
from connectrpc.client import ConnectClientSync, ResponseMetadata
from connectrpc.code import Code
from connectrpc.errors import ConnectError
from connectrpc.method import IdempotencyLevel, MethodInfo, StreamType
from running import Answer, Gateway, until


def method(name: str, takes: Any, gives: Any, kind: StreamType, level: IdempotencyLevel) -> MethodInfo[Any, Any]:
    return MethodInfo(
        name=name,
        service_name="stock.v1.Catalogue",
        input=takes,
        output=gives,
        idempotency_level=level,
        stream_type=kind,
    )


Dial = Callable[..., ConnectClientSync]

SAFE, ANY = IdempotencyLevel.NO_SIDE_EFFECTS, IdempotencyLevel.UNKNOWN
GET = method("GetItem", messages.GetItemRequest, messages.Item, StreamType.UNARY, SAFE)
ADD = method("AddItem", messages.Item, messages.Item, StreamType.UNARY, ANY)
LIST = method("ListItems", messages.ListItemsRequest, messages.Item, StreamType.SERVER_STREAM, ANY)
ADD_ALL = method("AddItems", messages.Item, messages.AddItemsResponse, StreamType.CLIENT_STREAM, ANY)
FIND = method("FindItems", messages.GetItemRequest, messages.Item, StreamType.BIDI_STREAM, ANY)

every_way = pytest.mark.parametrize(
    "way", [{}, {"json": True}, {"http2": True}, {"json": True, "http2": True}, {"gzip": True, "accept": True}], ids=str
)


def item(sku: str) -> Any:
    return messages.GetItemRequest(sku=sku)


@every_way
def test_a_unary_call_and_its_metadata(dial: Dial, service: Asked, way: dict[str, bool]) -> None:
    with dial(**way) as client, ResponseMetadata() as told:
        answer = client.execute_unary(request=item("mug"), method=GET, headers={"x-tenant": "gold", "x-raw-bin": "AP8"})
    assert answer == messages.Item(sku="mug", price=1250)
    assert told.headers["cache-control"] == "max-age=60"
    assert (told.trailers["x-after"], told.trailers["x-binary-bin"].rstrip("=")) == ("2", "AP8")
    (metadata,) = service.metadata
    assert (metadata["x-tenant"], metadata["x-raw-bin"]) == ("gold", str(b"\x00\xff"))
    assert not [name for name in metadata if name.startswith("connect-") or name == "content-encoding"]


@every_way
def test_streams_in_each_direction(dial: Dial, service: Asked, way: dict[str, bool]) -> None:
    with dial(**way) as client:
        with ResponseMetadata() as told:
            listed = list(client.execute_server_stream(request=messages.ListItemsRequest(count=20), method=LIST))
        assert [each.price for each in listed] == [100 * number for number in range(20)]
        assert (told.headers["x-before"], told.trailers["x-after"]) == ("1", "2")
        many = (messages.Item(sku=str(number), price=number) for number in range(100))
        assert client.execute_client_stream(request=many, method=ADD_ALL) == messages.AddItemsResponse(
            count=100, price=4950
        )


@pytest.mark.parametrize("as_json", [False, True])
def test_both_sides_of_a_stream_talk_in_turn(dial: Dial, service: Asked, as_json: bool) -> None:
    heard = threading.Semaphore(0)

    def ask() -> Iterator[Any]:
        for _ in range(5):
            yield item("mug")
            assert heard.acquire(timeout=30), "the answer waits for the end of the questions"

    with dial(json=as_json, http2=True) as client:
        for answer in client.execute_bidi_stream(request=ask(), method=FIND):
            assert answer.sku == "mug"
            heard.release()


def test_a_stream_in_both_directions_needs_http_2(dial: Dial) -> None:
    with dial() as client, pytest.raises(ConnectError) as failed:
        list(client.execute_bidi_stream(request=iter([item("mug")]), method=FIND))
    assert failed.value.code == Code.UNIMPLEMENTED


@pytest.mark.parametrize("way", [{}, {"json": True}, {"http2": True}], ids=str)
def test_an_error_has_its_code_its_message_and_its_details(dial: Dial, service: Asked, way: dict[str, bool]) -> None:
    with dial(**way) as client, pytest.raises(ConnectError) as failed:
        client.execute_unary(request=item("gone"), method=GET)
    assert (failed.value.code, failed.value.message) == (Code.NOT_FOUND, "100 % gone: 'ä'")
    (detail,) = failed.value.details
    assert detail.type_name == "stock.v1.OutOfStock"


def test_what_details_say_is_there_for_people(door: Gateway, service: Asked) -> None:
    answer = door.request("POST", "/stock.v1.Catalogue/GetItem", {"sku": "gone"})
    assert (answer.status, answer.headers["content-type"]) == (404, "application/json")
    (detail,) = answer.json["details"]
    assert detail["type"] == "stock.v1.OutOfStock"
    assert detail["debug"] == {"sku": "gone", "backAt": "1970-01-01T00:00:01Z"}
    assert "=" not in detail["value"]


STATUSES = {
    1: ("canceled", 499),
    2: ("unknown", 500),
    3: ("invalid_argument", 400),
    4: ("deadline_exceeded", 504),
    5: ("not_found", 404),
    6: ("already_exists", 409),
    7: ("permission_denied", 403),
    8: ("resource_exhausted", 429),
    9: ("failed_precondition", 400),
    10: ("aborted", 409),
    11: ("out_of_range", 400),
    12: ("unimplemented", 501),
    13: ("internal", 500),
    14: ("unavailable", 503),
    15: ("data_loss", 500),
    16: ("unauthenticated", 401),
}


@pytest.mark.parametrize("code", STATUSES)
def test_every_code_has_its_name_and_its_status(door: Gateway, code: int) -> None:
    answer = door.request("POST", "/stock.v1.Catalogue/GetItem", {"sku": f"code {code}"})
    assert (answer.json["code"], answer.status) == STATUSES[code]
    assert answer.json["message"] == "as you wish"


def test_a_stream_that_fails_says_so_behind_its_messages(dial: Dial, service: Asked) -> None:
    with dial() as client:
        answers = client.execute_server_stream(request=messages.ListItemsRequest(count=13), method=LIST)
        assert [next(answers).price for _ in range(13)] == [100 * number for number in range(13)]
        with pytest.raises(ConnectError) as failed:
            next(answers)
    assert (failed.value.code, failed.value.message) == (Code.RESOURCE_EXHAUSTED, "no more")


def test_messages_that_the_service_compresses_reach_whoever_takes_them(dial: Dial, door: Gateway) -> None:
    for way in ({"accept": True}, {}, {"json": True, "accept": True}):
        with dial(**way) as client:
            assert client.execute_unary(request=item("packed"), method=GET).note == "x" * 10_000
            listed = client.execute_server_stream(request=messages.ListItemsRequest(count=77), method=LIST)
            assert len(list(listed)) == 77
    content = item("packed").SerializeToString()
    answer = raw(
        door,
        "/stock.v1.Catalogue/GetItem",
        content,
        {"content-type": "application/proto", "accept-encoding": "gzip"},
    )
    assert (answer.headers["content-encoding"], len(answer.body) < 200) == ("gzip", True)
    assert messages.Item.FromString(gzip.decompress(answer.body)).sku == "packed"
    kind = {"content-type": "application/connect+proto", "connect-accept-encoding": "gzip"}
    answer = raw(door, "/stock.v1.Catalogue/ListItems", b"\0\0\0\0\x02\x08\x4d", kind)
    assert answer.headers["connect-content-encoding"] == "gzip"


def test_a_call_with_get_is_kept_by_the_cache(dial: Dial, service: Asked) -> None:
    for as_json in (False, True):
        service.forget()
        with dial(json=as_json) as client:
            for _ in range(3):
                assert client.execute_unary(request=item("mug"), method=GET, use_get=True).price == 1250
        assert len(service.metadata) == 1


def test_get_is_for_methods_that_say_so(door: Gateway, service: Asked) -> None:
    query = "?connect=v1&encoding=json&message=%7B%22sku%22%3A%22mug%22%7D"
    assert door.request("GET", "/stock.v1.Catalogue/GetItem" + query).json == {"sku": "mug", "price": "1250"}
    assert (
        door.request("GET", "/stock.v1.Catalogue/GetItem?encoding=json&base64=1&message=eyJza3UiOiJtdWcifQ").status
        == 200
    )
    refused = door.request("GET", "/stock.v1.Catalogue/AddItem" + query)
    assert (refused.status, refused.headers["allow"], refused.json["code"]) == (405, "POST", "unimplemented")
    assert "mug" in service.items
    assert (
        door.request(
            "GET", "/bare/stock.v1.Catalogue/GetItem?connect=v1&encoding=proto&base64=1&message=CgNtdWc"
        ).status
        == 200
    )
    assert door.request("GET", "/bare/stock.v1.Catalogue/AddItem?connect=v1&encoding=proto&message=").status == 405


def test_times_are_the_services_too(dial: Dial, service: Asked, door: Gateway) -> None:
    with dial() as client:
        client.execute_unary(request=item("mug"), method=GET, timeout_ms=30_000)
        assert 20 < (service.remaining[0] or 0) <= 30
        client.execute_unary(request=item("mug"), method=GET)
        before = time.monotonic()
        with pytest.raises(ConnectError) as failed:
            client.execute_unary(request=item("slow"), method=GET, timeout_ms=300)
        assert failed.value.code == Code.DEADLINE_EXCEEDED
        assert time.monotonic() - before < 20
        assert service.cancelled.wait(30)
    answer = door.request("POST", "/stock.v1.Catalogue/GetItem", {"sku": "slow"}, {"connect-timeout-ms": "200"})
    assert (answer.status, answer.json["code"]) == (504, "deadline_exceeded")
    answer = door.request("POST", "/stock.v1.Catalogue/GetItem", {"sku": "mug"}, {"connect-timeout-ms": "1s"})
    assert (answer.status, answer.json["code"]) == (400, "invalid_argument")


def test_a_client_that_leaves_a_stream_cancels_the_call(door: Gateway, service: Asked) -> None:
    url = f"http://{door.addresses['listeners']['public']}/stock.v1.Catalogue/ListItems"
    content, kind = b"\0\0\0\0\x02\x08\x42", {"content-type": "application/connect+proto"}
    with (
        httpx.Client(http1=False, http2=True, timeout=30) as client,
        client.stream("POST", url, content=content, headers=kind) as answer,
    ):
        assert next(answer.iter_raw())[0] == 0
        assert not service.cancelled.is_set()
    assert service.cancelled.wait(30)


def test_errors_of_the_gateway_are_errors_of_connect(dial: Dial, door: Gateway) -> None:
    for prefix, code, status in (("/keyed", Code.UNAUTHENTICATED, 401), ("/gone", Code.UNAVAILABLE, 502)):
        for way in ({}, {"json": True}):
            with dial(prefix, **way) as client:
                with pytest.raises(ConnectError) as failed:
                    client.execute_unary(request=item("mug"), method=GET)
                assert failed.value.code == code
                with pytest.raises(ConnectError) as failed:
                    list(client.execute_server_stream(request=messages.ListItemsRequest(count=1), method=LIST))
                assert failed.value.code == code
        answer = door.request("POST", f"{prefix}/stock.v1.Catalogue/GetItem", {"sku": "mug"})
        assert (answer.status, answer.headers["content-type"]) == (status, "application/json")


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ('{"sku": 7}', "/sku must"),
        ('{"sku": "mug", "sku2": 1}', "sku2"),
        ("{", "line 1"),
        ("", "line 1"),
        ("[]", "line 1"),
    ],
)
def test_bad_json_is_told_with_its_place(door: Gateway, text: str, place: str) -> None:
    answer = raw(door, "/stock.v1.Catalogue/GetItem", text.encode(), {"content-type": "application/json"})
    assert (answer.status, answer.json["code"]) == (400, "invalid_argument")
    assert place in answer.json["message"], answer.json


def raw(door: Gateway, path: str, content: bytes, headers: dict[str, str]) -> Answer:
    connection = HTTPConnection(door.addresses["listeners"]["public"], timeout=60)
    connection.request("POST", path, content, headers)
    response = connection.getresponse()
    answered = {name.lower(): value for name, value in response.getheaders()}
    return Answer(response.status, answered, response.read())


@pytest.mark.parametrize(
    ("path", "content", "headers", "status", "code"),
    [
        ("/GetItem", b"", {"content-type": "application/xml"}, 415, None),
        ("/GetItem", b"", {}, 415, None),
        (
            "/GetItem",
            b"{}",
            {"content-type": "application/json", "connect-protocol-version": "2"},
            400,
            "invalid_argument",
        ),
        ("/GetItem", b"{}", {"content-type": "application/json", "content-encoding": "lzw"}, 501, "unimplemented"),
        ("/GetItem", b"{}", {"content-type": "application/json", "content-encoding": "gzip"}, 400, "invalid_argument"),
        ("/GetItem", b"\xff", {"content-type": "application/connect+json"}, 200, "unimplemented"),
        ("/ListItems", b"{}", {"content-type": "application/json"}, 415, "unimplemented"),
        ("/ListItems", b"\0\0\0\0\x01", {"content-type": "application/connect+json"}, 200, "invalid_argument"),
        ("/ListItems", b"\1\0\0\0\x02{}", {"content-type": "application/connect+json"}, 200, "invalid_argument"),
        ("/ListItems", b"\2\0\0\0\x02{}", {"content-type": "application/connect+json"}, 200, "invalid_argument"),
        ("/ListItems", b"\0\0\0\0\x02[]", {"content-type": "application/connect+json"}, 200, "invalid_argument"),
        ("/Nothing", b"{}", {"content-type": "application/json"}, 404, "unimplemented"),
        ("/Nothing", b"", {"content-type": "application/proto"}, 501, "unimplemented"),
    ],
)
def test_what_is_no_call_is_refused(
    door: Gateway, path: str, content: bytes, headers: dict[str, str], status: int, code: str | None
) -> None:
    answer = raw(door, f"/stock.v1.Catalogue{path}", content, headers)
    assert answer.status == status, answer
    if status == 200:
        assert answer.body[0] == 2
        assert json.loads(answer.body[5:])["error"]["code"] == code
    elif code:
        assert answer.json["code"] == code
    else:
        assert "application/connect+proto" in answer.headers["accept-post"]


def test_json_needs_types_and_a_version_may_be_asked_for(door: Gateway, dial: Dial, service: Asked) -> None:
    version = {"connect-protocol-version": "1"}
    answer = door.request("POST", "/bare/stock.v1.Catalogue/GetItem", {"sku": "mug"}, version)
    assert (answer.status, answer.json["code"]) == (415, "unimplemented")
    with dial("/bare") as client:
        assert client.execute_unary(request=item("mug"), method=GET).price == 1250
        assert client.execute_unary(request=item("mug"), method=GET, use_get=True).price == 1250
        assert len(list(client.execute_server_stream(request=messages.ListItemsRequest(count=3), method=LIST))) == 3
    answer = raw(door, "/bare/stock.v1.Catalogue/GetItem", b"\n\x03mug", {"content-type": "application/proto"})
    assert (answer.status, answer.json["code"]) == (400, "invalid_argument")


def test_messages_are_bounded_however_they_come(dial: Dial) -> None:
    large = messages.Item(sku="large", note="x" * 2000)
    for way in ({}, {"json": True}, {"gzip": True}):
        with dial("/small", **way) as client:
            with pytest.raises(ConnectError) as failed:
                client.execute_unary(request=large, method=ADD)
            assert failed.value.code == Code.RESOURCE_EXHAUSTED
            with pytest.raises(ConnectError) as failed:
                client.execute_client_stream(request=iter([large]), method=ADD_ALL)
            assert failed.value.code == Code.RESOURCE_EXHAUSTED
    with dial("/small") as client, pytest.raises(ConnectError) as failed:
        client.execute_unary(request=item("packed"), method=GET)
    assert failed.value.code == Code.UNAVAILABLE


def test_json_is_written_and_read_by_rule(door: Gateway) -> None:
    answer = door.request("POST", "/named/stock.v1.Catalogue/AddItem", {"sku": "pen", "colour": "red"})
    assert (answer.status, answer.json) == (200, {"sku": "pen", "price": "0"})


def test_calls_of_grpc_pass_as_they_are(door: Gateway, service: Asked) -> None:
    with grpc.insecure_channel(door.addresses["listeners"]["public"], [("grpc.enable_http_proxy", 0)]) as channel:
        stub = services.CatalogueStub(channel)
        assert stub.GetItem(item("mug")).price == 1250
        assert len(list(stub.ListItems(messages.ListItemsRequest(count=5)))) == 5
        with pytest.raises(grpc.RpcError) as failed:
            stub.GetItem(item("gone"))
        assert failed.value.code() == grpc.StatusCode.NOT_FOUND


def test_the_log_knows_how_a_call_has_ended(door: Gateway, service: Asked) -> None:
    log = door.folder / "access.log"
    path = "/named/stock.v1.Catalogue/GetItem"
    door.request("POST", path, {"sku": "code 9"})
    line = json.loads(until(lambda: [line for line in log.read_text().splitlines() if f'"{path}"' in line])[0])
    assert (line["status"], line["grpc_status"]) == (400, 9)
