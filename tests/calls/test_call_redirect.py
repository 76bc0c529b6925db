"""Redirections: followed within a bound, only to who may be called, and without any credentials to another server."""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from authority import Authority
from calls.test_call_authentication import document
from flow import config
from running import Gateway
from service import Seen, Service

Json = Any
METHODS = ("get", "post", "delete")


class Redirecting(Service):
    """``/to/STATUS/HEX`` redirects there."""

    def decide(self, path: str, number: int) -> tuple[int, str, bytes]:
        return 200, "application/json", json.dumps({"path": path, "method": self.requests[-1].method}).encode()

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        super().__init__(tls)
        service = self
        handler = self._server.RequestHandlerClass
        plain = handler.answer

        def answer(this: Any) -> None:
            words = this.path.split("/")
            if words[1] != "to":
                plain(this)
                return
            body = this.rfile.read(int(this.headers.get("content-length", 0)))
            headers = {name.lower(): value for name, value in this.headers.items()}
            service.remember(Seen(this.command, this.path, headers, body))
            this.send_response(int(words[2]))
            this.send_header("location", bytes.fromhex(words[3]).decode())
            this.send_header("content-length", "0")
            this.end_headers()

        handler.do_GET = handler.do_POST = handler.do_DELETE = answer


def to(status: int, location: str) -> str:
    return f"/to/{status}/{location.encode().hex()}"


class Setting(NamedTuple):
    one: Redirecting
    two: Redirecting
    running: Gateway

    def ask(self, path: str, method: str = "get") -> Json:
        self.one.requests.clear()
        self.two.requests.clear()
        return self.running.request("POST", "/flow", {"path": path, "method": method}).json


@pytest.fixture(scope="module")
def setting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Setting]:
    folder = tmp_path_factory.mktemp("redirect")
    with Redirecting() as one, Redirecting() as two:
        document(
            folder,
            [
                {"which": {"switch": [{name: {"when": f'.method == "{name}"', "then": name}} for name in METHODS]}},
                *({name: {**call(name), "then": "end"}} for name in METHODS),
            ],
        )
        servers = '{"https://known.example/v1": "cluster://service/v2", "https://other.example": "cluster://other"}'
        text = config(one.port, extra=f'engine: {{allow_hosts: ["{two.url}"], servers: {servers}}}')
        other = f'clusters: {{other: {{endpoints: ["{two.url}"]}}, '
        (folder / "stagedoor.yaml").write_text(text.replace("clusters: {", other))
        running = Gateway(folder)
        yield Setting(one, two, running)
        running.kill()


def call(method: str) -> Json:
    body = {"body": {"a": 1}} if method == "post" else {}
    uri = '${ "cluster://service" + .path }'
    return {
        "call": "http",
        "with": {
            "method": method,
            "endpoint": {"uri": uri, "authentication": {"bearer": {"token": "of-one-alone"}}},
            "headers": {"X-Api-Key": "also-of-one-alone", "Cookie": "a=b", "Accept-Language": "de"},
            "redirect": True,
            "output": "response",
            **body,
        },
    }


@pytest.mark.parametrize(
    ("method", "status", "becomes"),
    [
        *(("get", status, "GET") for status in (301, 302, 303, 307, 308)),
        *(("post", status, "GET") for status in (301, 302, 303)),
        *(("post", status, "POST") for status in (307, 308)),
        *(("delete", status, "DELETE") for status in (301, 302, 307, 308)),
        ("delete", 303, "GET"),
    ],
)
def test_a_redirection_keeps_or_changes_the_method(method: str, status: int, becomes: str, setting: Setting) -> None:
    one = setting.one
    answer = setting.ask(to(status, "../../there?x=y"), method)
    assert (answer["statusCode"], answer["content"]) == (200, {"path": "/there?x=y", "method": becomes})
    first, second = one.requests
    assert second.key == first.key
    assert second.headers["authorization"] == "Bearer of-one-alone"
    assert second.headers["x-api-key"] == "also-of-one-alone"
    assert (second.body, "content-type" in second.headers) == (
        (first.body, True) if becomes == "POST" else (b"", False)
    )


def test_nothing_that_may_be_a_credential_goes_to_another_server(setting: Setting) -> None:
    two = setting.two
    answer = setting.ask(to(302, f"{two.url}{to(307, '/end')}"))
    assert answer["content"]["path"] == "/end"
    for seen in two.requests:
        assert not {"authorization", "x-api-key", "cookie"} & set(seen.headers)
        assert seen.headers["accept-language"] == "de"


def test_an_absolute_location_of_the_cluster_itself_stays_with_it(setting: Setting) -> None:
    one = setting.one
    answer = setting.ask(to(302, f"{one.url}/there"))
    assert answer["content"]["path"] == "/there"
    assert one.requests[1].headers["authorization"] == "Bearer of-one-alone"


def test_a_location_that_is_led_to_the_cluster_itself_stays_with_it(setting: Setting) -> None:
    one = setting.one
    answer = setting.ask(to(302, "https://known.example/v1/there?a=1"))
    assert answer["content"]["path"] == "/v2/there?a=1"
    assert one.requests[1].headers["authorization"] == "Bearer of-one-alone"


@pytest.mark.parametrize(
    "location",
    [
        "https://other.example/",
        "https://known.example/v3",
        "http://127.0.0.1:9/",
        "file:///etc/passwd",
        "//evil.example/",
        "http://[",
        "cluster://service/x",
    ],
)
def test_who_may_not_be_called_is_not_called_and_the_redirection_is_the_answer(location: str, setting: Setting) -> None:
    answer = setting.ask(to(302, location))
    assert answer["statusCode"] == 302
    assert answer["headers"]["location"] == location


def test_a_circle_ends_as_an_error(setting: Setting) -> None:
    one = setting.one
    path = to(302, "")
    answer = setting.ask(path)
    assert answer["title"] == "Too many redirections"
    assert len(one.requests) == 6


def test_over_tls_a_location_without_a_scheme_stays_and_one_without_tls_gets_no_credentials(
    gateway: Callable[..., Gateway], tmp_path: Path
) -> None:
    authority = Authority(tmp_path)
    with Redirecting(authority.server("127.0.0.1")) as one, Redirecting() as two:
        document(tmp_path, [{"get": call("get")}])
        text = config(one.port, extra=f'engine: {{allow_hosts: ["{two.url}"]}}')
        secure = f'endpoints: ["{one.url}"], tls: {{ca: "{authority.file}"}}'
        running = gateway(text.replace(f'endpoints: ["http://127.0.0.1:{one.port}"]', secure))
        setting = Setting(one, two, running)
        for location in (f"//127.0.0.1:{one.port}/there", f"{one.url}/there", "/there"):
            answer = setting.ask(to(307, location))
            assert answer["content"]["path"] == "/there", (answer, running.log)
            assert one.requests[1].headers["authorization"] == "Bearer of-one-alone"
        assert setting.ask(to(307, f"{two.url}/plain"))["content"]["path"] == "/plain"
        assert not {"authorization", "x-api-key", "cookie"} & set(two.requests[0].headers)
        assert setting.ask(to(307, f"http://127.0.0.1:{one.port}/there"))["statusCode"] == 307, "another server"
