"""curl."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
from conftest import WAYS, Curl, Way
from echo import content

MIB = 1 << 20
# Some versions of curl (7.88) cannot use a connection of HTTP/2 again that began with prior knowledge, to no server.
SEVERAL = pytest.mark.parametrize("way", [name for name in WAYS if name != "h2c"], indirect=True)
ONLY_HTTP_1 = pytest.mark.parametrize("way", ["http/1.1"], indirect=True)


def test_it_gets_what_the_server_says_and_the_server_what_it_asks(curl: Curl, door: str) -> None:
    seen = json.loads(curl("-H", "X-Name: café", "-H", "X-Empty;", f"{door}/echo?a=b&c=%20d"))
    assert (seen["method"], seen["target"], seen["length"]) == ("GET", "/echo?a=b&c=%20d", 0)
    assert seen["fields"]["host"] == door.partition("://")[2]
    assert seen["fields"]["user-agent"].startswith("curl/")
    assert seen["fields"]["x-empty"] == ""


@SEVERAL
def test_it_speaks_its_version_and_uses_its_connection_again(curl: Curl, door: str, way: Way) -> None:
    shown = curl("-w", "%{http_version} %{http_code} %{num_connects}\n", *["-o", "/dev/null", f"{door}/bytes/10"] * 3)
    assert shown.splitlines() == [f"{way.version} 200 1", f"{way.version} 200 0", f"{way.version} 200 0"]


@ONLY_HTTP_1
def test_http_1_0_gets_its_answer_and_a_close(curl: Curl, door: str) -> None:
    assert curl("--http1.0", f"{door}/stream/3") == "0\n1\n2\n"
    shown = curl("--http1.0", "-w", "%{num_connects}\n", *["-o", "/dev/null", f"{door}/bytes/10"] * 2)
    assert shown.splitlines() == ["1", "1"]


def test_a_head_is_a_head(curl: Curl, door: str, way: Way) -> None:
    shown = curl("-I", f"{door}/bytes/1234").lower()
    assert shown.startswith(f"http/{way.version} 200 ")
    assert "content-length: 1234\r\n" in shown


def test_large_downloads_arrive_as_they_were_sent(curl: Curl, door: str, tmp_path: Path) -> None:
    curl("-o", str(tmp_path / "got"), f"{door}/bytes/{20 * MIB}")
    assert (tmp_path / "got").read_bytes() == content(20 * MIB)


def test_answers_without_a_length_arrive_whole(curl: Curl, door: str) -> None:
    assert curl(f"{door}/stream/1000").split() == [str(number) for number in range(1000)]


def test_uploads_arrive_as_they_were_sent_with_and_without_a_length(curl: Curl, door: str, tmp_path: Path) -> None:
    sent = tmp_path / "sent"
    sent.write_bytes(content(8 * MIB))
    digest = hashlib.sha256(content(8 * MIB)).hexdigest()
    for arguments, chunked in [
        # This large, curl waits for 100 Continue.
        (["--data-binary", f"@{sent}"], False),
        (["-T", str(sent)], False),
        (["-T", str(sent), "-H", "Expect:"], False),
        (["-T", "-", "-X", "POST"], True),
    ]:
        seen = json.loads(curl(*arguments, f"{door}/echo", given=content(8 * MIB) if chunked else b""))
        assert (seen["length"], seen["sha256"]) == (8 * MIB, digest)
        assert ("transfer-encoding" in seen["fields"]) == chunked
        assert ("content-length" in seen["fields"]) != chunked


# curl takes the NO_ERROR with which the rest of an upload is declined for an error (RFC 9113 §8.1): see
# test_nghttp2.py.
@ONLY_HTTP_1
def test_an_upload_above_the_limit_is_refused_before_it_is_sent(curl: Curl, door: str, tmp_path: Path) -> None:
    (tmp_path / "sent").write_bytes(content(65 * MIB))
    arguments = ["--data-binary", f"@{tmp_path}/sent", "-o", "/dev/null", "-w", "%{http_code} %{size_upload}"]
    assert curl(*arguments, f"{door}/echo") == "413 0"


def test_forms_and_every_method_reach_the_server(curl: Curl, door: str) -> None:
    seen = json.loads(curl("-F", "name=mug", "-F", "file=@-", f"{door}/echo", given=b"picture"))
    assert seen["fields"]["content-type"].startswith("multipart/form-data; boundary=")
    for method in ("PUT", "PATCH", "DELETE", "OPTIONS", "PURGE"):
        assert json.loads(curl("-X", method, f"{door}/echo"))["method"] == method


@ONLY_HTTP_1
def test_used_as_a_proxy_the_gateway_routes_by_the_target_s_host(curl: Curl, door: str) -> None:
    seen = json.loads(curl("--proxy", door, "--noproxy", "", "http://shop.example/echo?x"))
    assert (seen["target"], seen["fields"]["host"]) == ("/echo?x", "shop.example")
    assert "proxy-connection" not in seen["fields"]


@ONLY_HTTP_1
def test_an_upgrade_that_nobody_serves_is_an_ordinary_answer(curl: Curl, door: str) -> None:
    shown = curl("--http2", "-w", "%{http_version}", "-o", "/dev/null", f"{door}/bytes/10")
    assert shown == "1.1"


@SEVERAL
def test_many_transfers_at_once(curl: Curl, door: str, tmp_path: Path) -> None:
    transfers = [part for number in range(60) for part in ("-o", str(tmp_path / f"{number}"), f"{door}/bytes/{number}")]
    curl("--parallel", "--parallel-max", "20", *transfers)
    assert [(tmp_path / f"{number}").read_bytes() for number in range(60)] == [content(number) for number in range(60)]


@SEVERAL
def test_answers_without_content_leave_the_connection_usable(curl: Curl, door: str) -> None:
    urls = [f"{door}/status/204", f"{door}/status/304", f"{door}/status/404", f"{door}/bytes/0", f"{door}/bytes/1"]
    sinks = [part for url in urls for part in ("-o", "/dev/null", url)]
    shown = curl("-w", "%{http_code} %{num_connects}\n", *sinks)
    assert shown.splitlines() == ["204 1", "304 0", "404 0", "200 0", "200 0"]
