"""The example of versions does what its page says, and `stagedoor versions` tells what has been asked for."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest
from running import Answer, Gateway

EXAMPLE = Path(__file__).parents[2] / "examples" / "versions"
sys.path.insert(0, str(EXAMPLE))

from versioned_shop import serve  # noqa: E402

KEYS = {"web": "key-of-the-web-shop", "kiosk": "key-of-the-kiosk"}


@pytest.fixture(scope="module")
def shop() -> Iterator[ThreadingHTTPServer]:
    with serve(0) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture(scope="module")
def door(shop: ThreadingHTTPServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("versions")
    for file in EXAMPLE.glob("*.yaml"):
        shutil.copy(file, folder)
    text = (EXAMPLE / "stagedoor.yaml").read_text()
    for port, other in (("8080", "0"), ("8081", str(shop.server_port)), ("9901", "0")):
        text = text.replace(f"127.0.0.1:{port}", f"127.0.0.1:{other}")
    (folder / "stagedoor.yaml").write_text(text)
    gateway = Gateway(folder)
    yield gateway
    gateway.kill()


def asked(door: Gateway, path: str, version: str | None = None, who: str = "web", body: object = None) -> Answer:
    headers = {"X-API-Key": KEYS[who]} | ({"Shop-Version": version} if version else {})
    return door.request("GET" if body is None else "POST", path, headers=headers, body=body)


def test_every_version_is_made_of_the_one_that_the_shop_implements(door: Gateway) -> None:
    newest = {"sku": "tea", "title": "Tea", "price": {"amount": 450, "currency": "EUR"}}
    assert asked(door, "/items/tea").json == newest
    middle = {"sku": "tea", "name": "Tea", "price": 4.5, "currency": "EUR"}
    assert asked(door, "/items/tea", "v2").json == middle
    first = asked(door, "/items/tea", "v1")
    assert first.json == {"id": "tea", "name": "Tea", "price": "4.5 EUR"}
    assert first.headers["deprecation"] == "@1767225600"
    assert first.headers["sunset"] == "Thu, 01 Jan 2099 00:00:00 GMT"
    assert '<https://shop.example/docs/v2>; rel="successor-version"' in first.headers["link"]
    # Kept, each for itself: the second time nobody asks the shop, and nobody gets another's.
    for version, expected in (("v1", first.json), ("v2", middle), ("v3", newest), (None, newest)):
        again = asked(door, "/items/tea", version)
        assert again.json == expected
        assert "hit" in again.headers["cache-status"]
    assert asked(door, "/items/tea", who="kiosk").json == middle
    assert asked(door, "/items/tea", "v3", who="kiosk").json == newest


def test_requests_errors_and_events_are_of_the_version_too(door: Gateway) -> None:
    made = asked(door, "/items", "v1", body={"id": "cup", "name": "Cup", "price": "9.50 EUR"})
    assert (made.status, made.json) == (201, {"id": "cup", "name": "Cup", "price": "9.5 EUR"})
    missing = asked(door, "/items/nothing", "v1")
    assert (missing.status, missing.json) == (404, {"error": "no such item"})
    events = asked(door, "/changes", "v1").body.decode()
    assert events == 'id: 1\ndata: {"id":"tea","name":"Tea","price":"4.5 EUR"}\n\n'


def test_what_has_ended_and_what_never_was_is_refused_with_the_way_out(door: Gateway) -> None:
    ended = asked(door, "/items/tea", "v0")
    assert (ended.status, ended.json["successor"]) == (410, {"version": "v3"})
    unknown = asked(door, "/items/tea", "v9")
    assert (unknown.status, unknown.json["versions"]) == (400, ["v1", "v2", "v3"])


def command(door: Gateway, *words: str) -> subprocess.CompletedProcess[str]:
    whole = [sys.executable, "-m", "stagedoor", *words, "--admin", door.admin_url]
    return subprocess.run(whole, capture_output=True, text=True, timeout=60, check=False)


def test_versions_tells_their_state_and_who_uses_which(door: Gateway) -> None:
    assert asked(door, "/items/tea", "v1").status == 200
    assert asked(door, "/items/tea", "v0", who="kiosk").status == 410
    told = command(door, "versions", "--api", "shop", "--json")
    assert told.returncode == 0, told.stderr
    [shop] = json.loads(told.stdout)["apis"]
    versions = {version["version"]: version for version in shop["versions"]}
    assert {name: version["state"] for name, version in versions.items()} == {
        "v0": "retired",
        "v1": "deprecated",
        "v2": "current",
        "v3": "current",
    }
    assert versions["v1"]["chain"] == ["v2", "v3"]
    assert [used["consumer"] for used in versions["v1"]["used"]] == ["web"]
    [kiosk] = [used for used in versions["v0"]["used"] if used["consumer"] == "kiosk"]
    assert (kiosk["served"], kiosk["refused"]) == (0, 1)
    table = command(door, "versions").stdout
    assert "v3 (default)" in table
    assert "v2 → v3" in table
    assert command(door, "versions", "--api", "nothing").returncode == 1
    assert 'stagedoor_api_requests_total{api="shop",version="v0",consumer="kiosk",result="refused"} 1' in door.metrics()


def test_a_consumer_of_the_registry_is_pinned_while_the_gateway_runs(door: Gateway) -> None:
    def pinned(*words: str) -> Answer:
        assert command(door, "consumers", *words).returncode == 0
        return door.request("GET", "/items/tea", headers={"X-API-Key": key})

    assert command(door, "consumers", "create", "app").returncode == 0
    key = json.loads(command(door, "keys", "create", "app", "--json").stdout)["key"]
    assert "title" in pinned("update", "app").json
    assert "name" in pinned("update", "app", "--pin", "shop=v2").json
    assert json.loads(command(door, "consumers", "show", "app", "--json").stdout)["versions"] == {"shop": "v2"}
    assert pinned("update", "app", "--pin", "shop=v7").json["versions"] == ["v1", "v2", "v3"]
    assert "title" in pinned("update", "app", "--no-pins").json
    assert command(door, "consumers", "update", "app", "--pin", "shop").returncode == 2
