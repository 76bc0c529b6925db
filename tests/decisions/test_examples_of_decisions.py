"""The examples of policies do what their pages say."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable
from pathlib import Path

from running import Gateway, request, until

EXAMPLES = Path(__file__).parents[2] / "examples"
sys.path.insert(0, str(EXAMPLES / "ext_authz"))

import authorizer  # noqa: E402


def started(
    gateway: Callable[..., Gateway], name: str, environment: dict[str, str] | None = None, **places: int
) -> Gateway:
    """The example's gateway, with ports that are free instead of those that it names."""
    config = (EXAMPLES / name / "stagedoor.yaml").read_text()
    for written, real in {"_8080": 0, **places}.items():
        assert f"127.0.0.1:{written[1:]}" in config
        config = config.replace(f"127.0.0.1:{written[1:]}", f"127.0.0.1:{real}")
    door = gateway(config + '\nadmin: {bind: "127.0.0.1:0"}\n', environment=environment)
    assert door.addresses, door.log
    return door


def opened(gateway: Callable[..., Gateway], name: str, environment: dict[str, str] | None = None, **places: int) -> str:
    """Its address."""
    address: str = started(gateway, name, environment, **places).addresses["listeners"]["public"]
    return address


def test_an_authorizer_decides(gateway: Callable[..., Gateway]) -> None:
    with authorizer.start(0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        door = opened(gateway, "ext_authz", _9002=server.server_port)
        answer = request(door, "GET", "/orders")
        assert (answer.status, answer.headers["location"]) == (302, "https://login.example/")
        answer = request(door, "GET", "/orders", headers={"x-tenant": "red"})
        assert (answer.status, answer.headers["x-decided-by"]) == (200, "the authorizer")
        answer = request(door, "DELETE", "/orders/7", headers={"x-tenant": "red"})
        assert (answer.status, answer.body) == (403, b"only blue may write\n")
        assert request(door, "DELETE", "/orders/7", headers={"x-tenant": "blue"}).status == 200
        server.shutdown()


def test_callers_may_do_what_their_scopes_groups_and_addresses_allow(gateway: Callable[..., Gateway]) -> None:
    door = opened(gateway, "authorize")
    keys = {"ann": "key-of-ann-of-the-staff", "app": "key-of-the-small-app", "job": "key-of-the-nightly-job"}
    for who, method, path, status in (
        ("app", "GET", "/orders/7", 200),
        ("job", "GET", "/orders/7", 403),
        ("ann", "DELETE", "/orders/7", 200),
        ("app", "DELETE", "/orders/7", 403),
        ("app", "DELETE", "/orders/app-7", 200),
        ("ann", "DELETE", "/orders/7?force=1", 403),
        ("ann", "GET", "/metrics", 403),
    ):
        fields = {"x-api-key": keys[who], "x-forwarded-for": "10.0.0.1"}
        assert request(door, method, path, headers=fields).status == status, (who, method, path)


def test_pages_may_read_and_change_what_they_are_allowed(gateway: Callable[..., Gateway]) -> None:
    door = opened(gateway, "browsers")
    asked = {"origin": "https://www.shop.example", "access-control-request-method": "DELETE"}
    preflight = request(door, "OPTIONS", "/orders", headers=asked)
    assert (preflight.status, preflight.headers["access-control-allow-methods"]) == (204, "GET, POST, DELETE")
    answer = request(door, "GET", "/orders", headers={"origin": "https://www.shop.example"})
    assert answer.headers["access-control-allow-origin"] == "https://www.shop.example"
    assert answer.headers["content-security-policy"] == "default-src 'self'"
    assert "x-powered-by" not in answer.headers
    answer = request(door, "GET", "/orders", headers={"origin": "https://www.shop.example.evil.org"})
    assert "access-control-allow-origin" not in answer.headers
    for origin, status in (("https://evil.example", 403), ("https://admin.shop.example", 200)):
        fields = {"cookie": "session=1", "origin": origin}
        assert request(door, "POST", "/orders", headers=fields).status == status


def test_callers_come_as_often_as_they_may(gateway: Callable[..., Gateway]) -> None:
    door = opened(gateway, "rate_limit")
    blue = [request(door, "GET", "/tenants", headers={"x-tenant": "blue"}) for _ in range(3)]
    assert [answer.status for answer in blue] == [200, 200, 429]
    assert int(blue[2].headers["retry-after"]) > 0
    assert request(door, "GET", "/tenants", headers={"x-tenant": "red"}).status == 200
    fields = {"x-api-key": "key-of-the-small-app"}
    assert [request(door, "GET", "/orders", headers=fields).status for _ in range(4)] == [200, 200, 200, 429]


def test_what_every_route_has_stands_beside_what_one_route_changes(gateway: Callable[..., Gateway]) -> None:
    door = started(gateway, "basics")
    answer = door.request("GET", "/orders", headers={"x-request-id": "mine-7", "authorization": "Bearer the-token"})
    assert (answer.headers["x-request-id"], answer.headers["cache-control"]) == ("mine-7", "no-store")
    assert "x-powered-by" not in answer.headers
    assert "strict-transport-security" not in answer.headers
    assert door.request("GET", "/orders", headers={"x-request-id": "not an id"}).headers["x-request-id"] != "not an id"
    until(lambda: '"mine-7"' in door.log)
    assert "[redacted]" in door.log
    assert "the-token" not in door.log
    for path, coding, status in (("/orders", "gzip", 413), ("/downloads", None, 200)):
        answer = door.request("GET", path, headers={"accept-encoding": "gzip"})
        assert (answer.status, answer.headers.get("content-encoding")) == (200, coding), path
        assert door.request("POST", path, "a" * 2000).status == status, path
    answer = door.request("GET", "/orders", headers={"x-forwarded-proto": "https"})
    assert answer.headers["strict-transport-security"] == "max-age=31536000; includeSubDomains"
