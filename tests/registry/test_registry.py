"""Consumers, keys and plans of a running gateway, by its commands and its admin endpoint."""

from __future__ import annotations

import io
import json
import re
import sqlite3
import subprocess
import threading
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from typing import Any

import pytest
from running import Answer, Gateway, until
from stagedoor.cli import main

Start = Callable[..., Gateway]
Json = Any
WRITE = "ann-may-write-here"
CONFIG = """
listeners: {public: {bind: "127.0.0.1:0"}}
admin:
  bind: "127.0.0.1:0"
  tokens: {ann: {token: "ann-may-write-here", role: write}, bob: {token: "bob-may-only-read"}}
workers: 2
consumers: {fixed: {api_keys: ["fixed-key-1"], groups: [staff]}}
plans: {small: {rate_limit: [{limit: 1, per: 1d}]}}
routes:
  open:
    match: {path: /open}
    policies: {authenticate: {any: [api_key]}}
    target: {response: {status: 200, body: open}}
  orders:
    match: {path: /orders}
    policies: {authenticate: {any: [api_key]}, authorize: {scopes: [orders]}}
    target: {response: {status: 200, body: orders}}
"""


def run(gateway: Gateway, *arguments: str) -> subprocess.CompletedProcess[str]:
    """A command, in this process: there are many of them."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setenv("STAGEDOOR_ADMIN_TOKEN", WRITE)
        code = main([*arguments, "--admin", gateway.admin_url])
    return subprocess.CompletedProcess(arguments, code, out.getvalue(), err.getvalue())


def said(gateway: Gateway, *arguments: str) -> Json:
    done = run(gateway, *arguments, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def ask(gateway: Gateway, method: str, path: str, body: Json = None, token: str = WRITE) -> Answer:
    return gateway.admin(path, method, body, {"Authorization": f"Bearer {token}"})


def status(gateway: Gateway, key: str, path: str = "/open") -> int:
    return gateway.request("GET", path, headers={"X-Api-Key": key}).status


def test_a_key_is_good_at_the_next_request_and_revoked_at_the_next(gateway: Start) -> None:
    running = gateway(CONFIG)
    said(running, "consumers", "create", "web", "--group", "staff")
    made = said(running, "keys", "create", "web", "--scope", "orders", "--description", "for the shop")
    key, id = made["key"], made["id"]
    assert re.fullmatch(r"sd_[A-Za-z0-9]{12}_[A-Za-z0-9_-]{43}", key)
    assert [status(running, key), status(running, key, "/orders"), status(running, key[:-1])] == [200, 200, 401]
    other = said(running, "keys", "create", "web")["key"]
    assert [status(running, other), status(running, other, "/orders")] == [200, 403]
    said(running, "consumers", "update", "web", "--disable")
    assert status(running, key) == 401
    said(running, "consumers", "update", "web", "--enable")
    assert status(running, key) == 200
    assert run(running, "keys", "revoke", "web", id).stdout == f"{id} is revoked\n"
    assert [status(running, key), status(running, other)] == [401, 200]
    run(running, "consumers", "delete", "web")
    assert [status(running, other), status(running, "fixed-key-1")] == [401, 200]


def test_a_rotated_key_overlaps_with_the_new_one_under_load(gateway: Start) -> None:
    running = gateway(CONFIG)
    said(running, "consumers", "create", "web")
    old = said(running, "keys", "create", "web")
    seen: list[int] = []
    stop = threading.Event()

    def load() -> None:
        while not stop.is_set():
            seen.append(status(running, old["key"]))

    loading = threading.Thread(target=load)
    loading.start()
    until(lambda: len(seen) > 20)
    new = said(running, "keys", "rotate", "web", old["id"], "--overlap", "1h")
    count = len(seen)
    until(lambda: len(seen) > count + 20)
    stop.set()
    loading.join()
    assert set(seen) == {200}
    assert new["key"] != old["key"]
    assert [status(running, new["key"]), status(running, old["key"])] == [200, 200]
    last = said(running, "keys", "rotate", "web", new["id"], "--overlap", "0s")
    assert [status(running, last["key"]), status(running, new["key"])] == [200, 401]


def test_a_key_is_good_only_where_and_when_it_says(gateway: Start) -> None:
    running = gateway(CONFIG)
    said(running, "consumers", "create", "web")
    elsewhere = said(running, "keys", "create", "web", "--network", "10.0.0.0/8")["key"]
    one = said(running, "keys", "create", "web", "--route", "orders", "--scope", "orders", "--expires", "90d")["key"]
    assert [status(running, elsewhere), status(running, one), status(running, one, "/orders")] == [403, 403, 200]
    late = run(running, "keys", "create", "web", "--expires", "2001-01-01T00:00:00Z")
    assert late.returncode == 1
    assert "that time is over" in late.stderr


def test_plans_bound_their_consumers(gateway: Start) -> None:
    running = gateway(CONFIG)
    said(running, "plans", "put", "gold", "--rate", "2/1d")
    said(running, "consumers", "create", "web", "--plan", "gold")
    said(running, "consumers", "create", "app", "--plan", "small")
    web, app = (said(running, "keys", "create", name)["key"] for name in ("web", "app"))
    assert [status(running, web) for _ in range(3)] == [200, 200, 429]
    assert [status(running, app) for _ in range(2)] == [200, 429]
    assert "consumers have the plan, 'web' for one" in run(running, "plans", "delete", "gold").stderr
    said(running, "consumers", "update", "web", "--no-plan")
    run(running, "plans", "delete", "gold")
    assert status(running, web) == 200
    assert [each["name"] for each in said(running, "plans", "list")["plans"]] == ["small"]
    unknown = run(running, "consumers", "update", "web", "--plan", "none")
    assert "there is no plan 'none'" in unknown.stderr


def test_what_the_configuration_defines_is_shown_and_not_changed(gateway: Start) -> None:
    running = gateway(CONFIG)
    said(running, "consumers", "create", "web")
    listed = {each["name"]: each["source"] for each in said(running, "consumers", "list")["consumers"]}
    assert listed == {"fixed": "configuration", "web": "registry"}
    for arguments in (
        ["consumers", "create", "fixed"],
        ["consumers", "update", "fixed", "--disable"],
        ["keys", "create", "fixed"],
    ):
        refused = run(running, *arguments)
        assert refused.returncode == 1
        assert "one of the configuration" in refused.stderr


def test_everything_is_there_after_a_restart(gateway: Start) -> None:
    running = gateway(CONFIG)
    said(running, "consumers", "create", "web", "--group", "staff")
    key = said(running, "keys", "create", "web")["key"]
    assert status(running, key) == 200
    before = said(running, "consumers", "show", "web")
    running.end()
    again = Gateway(running.folder)
    try:
        assert status(again, key) == 200
        shown = said(again, "consumers", "show", "web")
        assert shown["api_keys"][0].pop("last_used") is not None
        assert before["api_keys"][0].pop("last_used") is None
        assert shown == before
    finally:
        again.end()


def test_a_token_that_reads_changes_nothing_and_a_wrong_one_sees_nothing(gateway: Start) -> None:
    running = gateway(CONFIG)
    for method, path in (
        ("POST", "/consumers"),
        ("PATCH", "/consumers/fixed"),
        ("DELETE", "/consumers/fixed"),
        ("POST", "/consumers/fixed/keys"),
        ("PUT", "/plans/a"),
        ("POST", "/executions/a/cancel"),
    ):
        assert ask(running, method, path, {"name": "x"}, token="bob-may-only-read").status == 403
        assert ask(running, method, path, {"name": "x"}, token="nobody-knows-this").status == 401
    assert ask(running, "GET", "/consumers", token="bob-may-only-read").status == 200
    assert ask(running, "GET", "/audit", token="bob-may-only-readx").status == 401


def test_the_audit_log_says_who_changed_what_and_shows_no_secret(gateway: Start) -> None:
    running = gateway(CONFIG)
    said(running, "consumers", "create", "web", "--group", "staff")
    key = said(running, "keys", "create", "web")
    said(running, "consumers", "update", "web", "--group", "beta")
    run(running, "keys", "revoke", "web", key["id"])
    run(running, "consumers", "delete", "web")
    lines = said(running, "audit")["audit"]
    assert [line["action"] for line in lines] == [
        "delete consumer",
        "revoke key",
        "change consumer",
        "create key",
        "create consumer",
    ]
    assert {line["who"] for line in lines} == {"ann"}
    assert (lines[2]["before"]["groups"], lines[2]["after"]["groups"]) == (["staff"], ["beta"])
    assert "change consumer" in run(running, "audit").stdout
    running.end()
    secret = key["key"].rpartition("_")[2].encode()
    for file in running.folder.rglob("*"):
        assert not file.is_file() or secret not in file.read_bytes(), file
    for kind in ("registry", "registry.key"):
        [file] = running.folder.rglob(f"*.{kind}")
        assert file.stat().st_mode & 0o077 == 0


def test_what_is_wrong_is_told_and_changes_nothing(gateway: Start) -> None:
    running = gateway(CONFIG)
    said(running, "consumers", "create", "web")
    for method, path, body, expected, detail in (
        ("POST", "/consumers", {"name": "web"}, 409, "already"),
        ("POST", "/consumers", {"name": "a b"}, 400, "name: "),
        ("POST", "/consumers", {"name": "x", "group": []}, 400, "group: "),
        ("POST", "/consumers", [], 400, "the body: "),
        ("POST", "/consumers", {"name": "anonymous"}, 400, "those who present nothing"),
        ("POST", "/consumers/none/keys", {}, 404, "no consumer 'none'"),
        ("POST", "/consumers/web/keys", {"networks": ["10.0.0.0/40"]}, 400, "networks.0: "),
        ("POST", "/consumers/web/keys", {"expires": "soon"}, 400, "expires: "),
        ("DELETE", "/consumers/web/keys/web/none", None, 404, "no key"),
        ("PUT", "/plans/a", {"rate_limit": [{"limit": 0, "per": "1s"}]}, 400, "rate_limit.0.limit: "),
        ("PUT", "/plans/small", {"rate_limit": []}, 409, "one of the configuration"),
        ("GET", "/consumers?limit=0", None, 400, "limit"),
    ):
        answer = ask(running, method, path, body)
        assert (answer.status, detail in answer.json["detail"]) == (expected, True), (path, answer.json)
    assert [each["name"] for each in said(running, "consumers", "list")["consumers"]] == ["fixed", "web"]
    assert len(said(running, "audit")["audit"]) == 1


def test_consumers_are_listed_page_by_page(gateway: Start) -> None:
    running = gateway(CONFIG)
    for number in range(5):
        assert ask(running, "POST", "/consumers", {"name": f"web-{number}"}).status == 201
    first = ask(running, "GET", "/consumers?limit=3").json
    second = ask(running, "GET", f"/consumers?limit=3&after={first['next']}").json
    names = [each["name"] for each in first["consumers"] + second["consumers"]]
    assert names == ["fixed", *(f"web-{number}" for number in range(5))]


def test_a_registry_without_its_secret_is_told_at_the_start(gateway: Start) -> None:
    running = gateway(CONFIG)
    said(running, "consumers", "create", "web")
    said(running, "keys", "create", "web")
    running.end()
    [file] = running.folder.rglob("*.registry.key")
    file.unlink()
    again = Gateway(running.folder)
    assert again.process.wait(30) == 1
    assert "the secret of the registry's hashes" in again.log


def test_a_registry_of_another_version_is_refused(gateway: Start) -> None:
    running = gateway(CONFIG)
    said(running, "consumers", "create", "web")
    running.end()
    [file] = running.folder.rglob("*.registry")
    connection = sqlite3.connect(file)
    connection.execute("UPDATE registry_version SET version = 4")
    connection.commit()
    connection.close()
    again = Gateway(running.folder)
    assert again.process.wait(30) == 1
    assert "has schema version 4, this release reads 3" in again.log
