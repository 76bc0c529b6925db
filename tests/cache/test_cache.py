"""The cache's example, its purges by admin endpoint and command, and what log and metrics say of it."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from running import Gateway, until

EXAMPLE = Path(__file__).parents[2] / "examples" / "cache"
sys.path.insert(0, str(EXAMPLE))

from catalogue import Catalogue  # noqa: E402


@pytest.fixture
def catalogue() -> Iterator[Catalogue]:
    with Catalogue(0) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.shutdown()


@pytest.fixture
def running(catalogue: Catalogue, gateway: Callable[..., Gateway]) -> Gateway:
    # Where commands take long, what is to be fresh still is.
    config = (EXAMPLE / "stagedoor.yaml").read_text().replace("200: 30s", "200: 10m")
    for written, real in (("8080", 0), ("9901", 0), ("9101", catalogue.server_address[1])):
        config = config.replace(f"127.0.0.1:{written}", f"127.0.0.1:{real}")
    return gateway(config + "policies: {access_log: {path: access.log}}\n")


def put(running: Gateway, path: str) -> None:
    assert running.request("PUT", path, "tea").status == 204


def get(running: Gateway, path: str) -> str:
    answer = running.request("GET", path)
    assert (answer.status, answer.json) == (200, "tea")
    return answer.headers["cache-status"]


def test_the_example_does_what_its_page_says(running: Gateway, catalogue: Catalogue) -> None:
    put(running, "/items/tea")
    assert get(running, "/items/tea?page=1").startswith("stagedoor; fwd=uri-miss")
    assert get(running, "/items/tea?page=1&utm_source=mail").startswith("stagedoor; hit")
    part = running.request("GET", "/items/tea?page=1", headers={"range": "bytes=1-3"})
    assert (part.status, part.body) == (206, b"tea")
    assert catalogue.asked == 1
    put(running, "/items/coffee")
    assert "hit" not in get(running, "/items/tea?page=1")
    lines = [json.loads(line) for line in until(lambda: _lines(running, 6))]
    # Each worker writes its own lines.
    assert sorted(line["cache"] for line in lines) == ["hit", "hit", "miss", "miss", "pass", "pass"]
    assert 'stagedoor_cache_requests_total{route="items",result="hit"} 2' in running.metrics()
    assert "stagedoor_cache_entries 1" in running.metrics()


def _lines(running: Gateway, wanted: int) -> list[str] | None:
    file = running.folder / "access.log"
    lines = file.read_text().splitlines() if file.exists() else []
    return lines if len(lines) == wanted else None


def test_a_workflow_that_writes_invalidates_what_its_task_names(
    catalogue: Catalogue, gateway: Callable[..., Gateway], tmp_path: Path
) -> None:
    document = """
document: {dsl: '1.0.3', namespace: shop, name: brew, version: '1.0.0'}
do:
- both:
    metadata: {stagedoor/invalidate: [items, others]}
    do:
    - look: {call: http, with: {method: get, endpoint: 'cluster://catalogue/items/tea'}}
    - brew:
        if: '${ $workflow.input.strong == true }'
        call: http
        with: {method: put, endpoint: 'cluster://catalogue/items/tea', body: tea}
"""
    route = """
  brew: {match: {path: /brew, methods: [POST]}, target: {workflow: shop/brew, wait: 20s}}
workflows: [brew.yaml]
engine: {store: "sqlite:///engine.db"}
"""
    config = (EXAMPLE / "stagedoor.yaml").read_text() + route
    for written, real in (("8080", 0), ("9901", 0), ("9101", catalogue.server_address[1])):
        config = config.replace(f"127.0.0.1:{written}", f"127.0.0.1:{real}")
    (tmp_path / "brew.yaml").write_text(document)
    running = gateway(config)
    put(running, "/items/tea")
    get(running, "/items/tea")
    # One that only reads leaves everything as it is.
    assert running.request("POST", "/brew", {}).status == 200
    assert "; hit" in get(running, "/items/tea")
    assert running.request("POST", "/brew", {"strong": True}).status == 200
    assert "; hit" not in get(running, "/items/tea")


def test_large_responses_are_found_again_after_a_crash_and_damage_is_told(
    running: Gateway, catalogue: Catalogue
) -> None:
    host = {"host": "shop.example"}
    text = "x" * 300_000
    assert running.request("PUT", "/items/photo", text).status == 204
    assert running.request("GET", "/items/photo", headers=host).json == text
    until(lambda: list(running.folder.glob("responses/*/*.head")))
    running.kill()
    again = Gateway(running.folder)
    try:
        until(lambda: again.admin("/cache").json["disk_entries"] == 1)
        answer = again.request("GET", "/items/photo", headers=host)
        assert answer.headers["cache-status"].startswith("stagedoor; hit")
        assert (answer.json, catalogue.asked) == (text, 1)
        assert "stagedoor_cache_disk_up 1" in again.metrics()
        [content] = (running.folder / "responses").glob("*/*.body")
        content.write_bytes(content.read_bytes().replace(b"x", b"y", 1))
        assert (again.request("GET", "/items/photo", headers=host).json, catalogue.asked) == (text, 2)
        until(lambda: "the cache's disk tier" in again.log)
        assert "stagedoor_cache_disk_damaged_total 1" in again.metrics()
    finally:
        again.kill()


def test_an_operator_sees_and_purges(running: Gateway) -> None:
    host = next(iter(running.addresses["listeners"].values()))
    put(running, "/items/tea")
    purges: list[tuple[dict[str, object], int]] = [
        ({"url": f"http://{host}/items/tea"}, 1),
        ({"prefix": f"http://{host}/items/"}, 1),
        ({"group": "items"}, 1),
        ({"group": "others"}, 0),
        ({"all": True}, 1),
        ({"all": True}, 0),
    ]
    for body, purged in purges:
        if purged:
            get(running, "/items/tea")
            assert running.admin("/cache").json["entries"] == 1
        answer = running.admin("/cache/purge", "POST", body)
        assert (answer.status, answer.json) == (200, {"purged": purged}), body
    for wrong in (
        {},
        {"url": "x"},
        {"url": 1},
        {"all": False},
        {"url": "a", "group": "b"},
        {"all": True, "soft": 1},
        [],
    ):
        assert running.admin("/cache/purge", "POST", wrong).status == 400, wrong


def test_commands_ask_the_admin_endpoint(running: Gateway) -> None:
    def stagedoor(*arguments: str) -> str:
        command = [sys.executable, "-m", "stagedoor", "cache", *arguments, "--admin", running.admin_url]
        return subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout

    put(running, "/items/tea")
    get(running, "/items/tea")
    assert json.loads(stagedoor("status", "--json"))["entries"] == 1
    assert "responses" in stagedoor("status")
    assert stagedoor("purge", "--group", "items", "--soft") == "1 responses\n"
    assert "detail=stale-while-revalidate" in get(running, "/items/tea")
    assert json.loads(stagedoor("purge", "--all", "--json"))["purged"] == 1


def test_another_size_takes_effect_at_a_reload(running: Gateway) -> None:
    file = running.folder / "stagedoor.yaml"
    assert running.admin("/cache").json["limit"] == 64 << 20
    file.write_text(file.read_text().replace("64MiB", "32MiB"))
    until(lambda: running.admin("/cache").json["limit"] == 32 << 20)
