"""The examples do what their pages say."""

from __future__ import annotations

import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from running import Gateway, Json

EXAMPLES = Path(__file__).parents[2] / "examples"
sys.path.insert(0, str(EXAMPLES / "events"))

import clock  # noqa: E402

sys.path.insert(0, str(EXAMPLES / "aggregate"))

import storefront  # noqa: E402

sys.path.insert(0, str(EXAMPLES / "transform"))

import legacy  # noqa: E402

Curl = Callable[..., str]


@pytest.fixture
def curl() -> Curl:
    program = shutil.which("curl")
    if program is None:
        assert not os.environ.get("CI"), "curl is missing"
        pytest.skip("curl is not installed: make test-tools")

    def run(*arguments: str) -> str:
        command = [str(program), "--max-time", "60", "--noproxy", "*", *arguments]
        return subprocess.run(command, capture_output=True, check=True, timeout=90).stdout.decode()

    return run


def opened(
    gateway: Callable[..., Gateway], name: str, environment: dict[str, str] | None = None, **places: str
) -> Gateway:
    """The example's gateway, with ports that are free instead of those that it names."""
    config = (EXAMPLES / name / "stagedoor.yaml").read_text()
    for written, real in places.items():
        config = config.replace(f"127.0.0.1:{written[1:]}", f"127.0.0.1:{real}")
    return gateway(config + '\nadmin: {bind: "127.0.0.1:0"}\n', environment=environment)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def test_http_2_is_spoken_on_both_sides(gateway: Callable[..., Gateway], curl: Curl) -> None:
    calls = str(free_port())
    door = opened(gateway, "http2", _8080="0", _8081=calls)
    both = door.addresses["listeners"]["both"]
    version = ("--write-out", "%{http_version}", "--silent")
    assert curl(f"http://{both}/hello", *version) == "hello\n1.1"
    assert curl("--http2-prior-knowledge", f"http://{both}/hello", *version) == "hello\n2"
    assert curl("--http2-prior-knowledge", f"http://127.0.0.1:{calls}/hello", *version) == "hello\n2"
    assert curl(f"http://{both}/through", *version) == "hello\n1.1"


def test_events_pass_as_they_come_and_pages_shrink(gateway: Callable[..., Gateway], curl: Curl) -> None:
    with clock.start(0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        door = opened(gateway, "events", _8080="0", _8765=str(server.server_port))
        address = door.addresses["listeners"]["public"]
        host, _, port = address.rpartition(":")
        with socket.create_connection((host, int(port)), timeout=20) as client:
            client.sendall(b"GET /ticks HTTP/1.1\r\nHost: a\r\n\r\n")
            seen = b""
            while b"tick 2\n" not in seen:
                seen += client.recv(4096)
        assert b"text/event-stream" in seen
        head = curl("--silent", "--compressed", "--include", f"http://{address}/page")
        assert re.search("(?mi)^content-encoding: (zstd|br|gzip)", head)
        assert head.endswith(clock.PAGE)
        server.shutdown()


def test_a_unix_socket_carries_the_clients_address(gateway: Callable[..., Gateway], curl: Curl, tmp_path: Path) -> None:
    door = opened(gateway, "unix", {"SOCKET": str(tmp_path / "back.sock")}, _8080="0")
    assert curl("--silent", f"http://{door.addresses['listeners']['front']}/hello") == "hello\n"


def test_keys_and_passwords_let_in_and_nobody_now_and_then(gateway: Callable[..., Gateway], curl: Curl) -> None:
    address = opened(gateway, "credentials", _8080="0").addresses["listeners"]["public"]
    web, job = ("--header", "x-api-key: key-of-the-web-shop"), ("--header", "x-api-key: key-of-the-nightly-job")
    ali = ("--user", "ali:open sesame")

    def ask(path: str, *arguments: str) -> int:
        return int(
            curl(
                "--silent", "--output", os.devnull, "--write-out", "%{http_code}", *arguments, f"http://{address}{path}"
            )
        )

    assert [ask("/items") for _ in range(3)] == [200, 200, 429]
    assert [ask("/items", *who) for who in (web, job, ali)] == [200, 200, 200]
    assert ask("/items", "--header", "x-api-key: wrong") == 401
    assert ask("/items", "--user", "ali:wrong") == 401
    assert [ask("/orders", *who) for who in (web, ali, (*web, *ali), (*job, *ali), ())] == [401, 401, 200, 403, 401]


def test_requests_and_answers_are_as_described(gateway: Callable[..., Gateway], curl: Curl, tmp_path: Path) -> None:
    shutil.copytree(EXAMPLES / "validate", tmp_path, dirs_exist_ok=True)
    address = opened(gateway, "validate", _8080="0").addresses["listeners"]["public"]

    def ask(path: str, *arguments: str) -> tuple[int, list[str]]:
        text = curl("--silent", "--write-out", "\n%{http_code}", *arguments, f"http://{address}{path}")
        content, status = text.rsplit("\n", 1)
        faults = json.loads(content).get("errors", []) if content.startswith("{") else []
        return int(status), sorted(f"{fault['in']} {fault.get('name', fault['pointer'])}" for fault in faults)

    def sent(content: str, media: str = "application/json") -> tuple[str, ...]:
        return "--header", f"content-type: {media}", "--data-binary", content

    assert ask("/v1/orders?limit=10&state=open,sent") == (200, [])
    assert ask("/v1/orders?limit=1000&state=lost") == (400, ["query limit", "query state"])
    assert ask("/v1/orders", *sent('{"lines": [{"sku": "tea", "count": 2}]}')) == (200, [])
    wrong = '{"id": "7", "lines": [{"sku": "TEA", "count": 0}]}'
    assert ask("/v1/orders", *sent(wrong)) == (400, ["body /id", "body /lines/0/count", "body /lines/0/sku"])
    assert ask("/v1/orders", "--data", "a=b") == (415, [])
    assert ask("/v1/customers") == (404, [])
    assert ask("/v1/orders", "--request", "DELETE") == (405, [])
    assert ask("/events", *sent('{"type": "created"}')) == (200, [])
    assert ask("/events", *sent('{"type": "lost"}')) == (400, ["body /type"])
    assert ask("/pictures", *sent("any", "image/png")) == (200, [])
    assert ask("/pictures", *sent("any", "text/plain")) == (415, [])
    assert ask("/v2/orders") == (502, [])


def test_one_shop_has_two_shapes(gateway: Callable[..., Gateway], curl: Curl) -> None:
    with storefront.serve(0) as service:
        threading.Thread(target=service.serve_forever, daemon=True).start()
        door = opened(gateway, "aggregate", _8080="0", _8081=str(service.server_port))
        address = door.addresses["listeners"]["public"]
        head, content = curl("--silent", "--include", f"http://{address}/web/customers/7").split("\r\n\r\n")
        answer = json.loads(content)
        assert answer["customer"] == {"name": "Zoë", "city": "Basel"}
        assert [item["name"] for item in answer["items"]] == ["Green tea", "Cup"]
        assert (answer["advice"], answer["failed"]["advice"]["status"]) == ([], 503)
        assert "x-stagedoor-failed-calls: advice;status=503" in head.lower()
        head, content = curl("--silent", "--include", f"http://{address}/app/customers/7").split("\r\n\r\n")
        assert json.loads(content) == {"title": "Zoë", "open": 1}
        assert "cache-control: max-age=60" in head.lower()
        assert (
            curl("--silent", f"http://{address}/app/customers/8", "--output", os.devnull, "--write-out", "%{http_code}")
            == "404"
        )
        service.shutdown()


def test_tokens_are_verified_or_asked_about_and_metadata_says_where_they_come_from(
    gateway: Callable[..., Gateway], curl: Curl
) -> None:
    issuer = str(free_port())
    address = opened(gateway, "tokens", _8080="0", _9200=issuer).addresses["listeners"]["public"]
    well_known = "/.well-known/oauth-protected-resource"

    def ask(path: str, authorization: str) -> tuple[int, str]:
        head = curl("--silent", "--include", "--header", f"Authorization: {authorization}", f"http://{address}{path}")
        return int(head.split()[1]), (re.findall(r'error="(\w+)"', head) or [""])[0]

    head = curl("--silent", "--include", f"http://{address}/orders")
    assert f'resource_metadata="https://api.example.com{well_known}"' in head
    metadata = json.loads(curl("--silent", "--header", "Host: api.example.com", f"http://{address}{well_known}"))
    assert metadata["authorization_servers"] == ["https://signing.example", f"http://127.0.0.1:{issuer}"]
    assert (metadata["resource"], metadata["scopes_supported"]) == ("https://api.example.com", ["orders"])
    assert ask("/orders", "Bearer any-opaque-token") == (200, "")
    page = (EXAMPLES / "tokens" / "README.md").read_text()
    script = page.split("```sh\npart", 1)[1].split("curl", 1)[0]
    made = subprocess.run(
        ["bash", "-c", f'part{script}echo "$head.$claims.$signature"'], capture_output=True, check=True, text=True
    )
    token = made.stdout.strip()
    assert ask("/orders", f"Bearer {token}") == (200, "")
    assert ask("/payments", f"Bearer {token}") == (401, "insufficient_user_authentication")
    assert ask("/orders", f"Bearer {token[:-1]}!") == (401, "invalid_token")
    assert ask("/orders", f"DPoP {token}") == (401, "invalid_dpop_proof")


def test_the_gateway_proves_itself_to_services(gateway: Callable[..., Gateway], curl: Curl) -> None:
    services = free_port()
    door = opened(gateway, "cluster_credentials", _8080="0", _8081=str(services), _8082=str(free_port()))
    address = door.addresses["listeners"]["public"]
    hook = ("--header", "content-type: application/json", "--data", '{"paid": true}')
    for path, arguments, by in (("keyed", (), "key"), ("signed", (), "signature"), ("hook", hook, "webhook")):
        answer = curl("--silent", *arguments, f"http://{address}/{path}")
        assert answer == f"the gateway, by its {by}\n", door.log
        assert '"status":401' in curl("--silent", *arguments, f"http://127.0.0.1:{services}/service/{path}")
    assert "credentials-unavailable" in curl("--silent", f"http://{address}/tokens")
    explained = subprocess.run(
        [sys.executable, "-m", "stagedoor", "explain", "GET", "http://a/tokens"],
        cwd=door.folder, capture_output=True, text=True, check=True, timeout=60,
    )  # fmt: skip
    assert "proves itself by client_credentials" in explained.stdout
    assert "not-for-production" not in explained.stdout


def test_an_old_service_has_a_new_face(gateway: Callable[..., Gateway], curl: Curl) -> None:
    with legacy.serve(0) as service:
        threading.Thread(target=service.serve_forever, daemon=True).start()
        door = opened(gateway, "transform", _8080="0", _8081=str(service.server_port))
        address = door.addresses["listeners"]["public"]

        def order(content: str) -> tuple[str, dict[str, Json]]:
            kind = ("--header", "content-type: application/json", "--data-binary", content)
            answer = curl("--silent", "--write-out", "\n%{http_code}", *kind, f"http://{address}/orders")
            text, status = answer.rsplit("\n", 1)
            return status, json.loads(text)

        assert order('{"lines": [{"sku": "tea", "count": 2}]}') == ("201", {"number": "17", "card": "***"})
        status, problem = order('{"lines": [{"sku": "cup", "count": 2}]}')
        assert (status, problem["title"]) == ("422", "Unprocessable Entity")
        assert "java" not in str(problem)
        assert order('{"lines": [')[0] == "400"
        events = curl("--silent", f"http://{address}/events")
        assert events == 'id: 1\ndata: {"kind":"order","at":7}\n\n'
        service.shutdown()
