"""Keys that issuers publish: fetched, rotated under load, kept while the issuer is down."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from identity.issuer import Issuer
from running import Answer, Gateway, until
from service import Service

Start = Callable[..., Gateway]
CONFIG = """
listeners: {{public: {{bind: "127.0.0.1:0"}}}}
admin: {{bind: "127.0.0.1:0"}}
workers: 2
clusters: {{items: {{endpoints: ["{service}"]}}}}
issuers:
  corp: {{issuer: "{issuer}", algorithms: [EdDSA], {source}}}
policies:
  authenticate:
    any: [{{jwt: {{issuers: [corp], audience: [shop], plan: /plan, headers: {{x-tenant: /tenant, x-roles: /roles}}}}}}]
plans: {{small: {{rate_limit: [{{limit: 1, per: 1d}}]}}}}
routes:
  items: {{match: {{path: "/items"}}, target: {{cluster: items}}}}
  fixed: {{match: {{path: "/fixed"}}, target: {{response: {{status: 200}}}}}}
"""
DISCOVERED = "discovery: openid"
AGAIN_S = 10
"""``policy/authenticate/issuer/live.rs`` ``AGAIN``."""


@pytest.fixture
def issuer() -> Iterator[Issuer]:
    with Issuer() as running:
        yield running


def config(issuer: Issuer, source: str = DISCOVERED, service: str = "http://127.0.0.1:9") -> str:
    return CONFIG.format(issuer=issuer.url, source=source, service=service)


def ask(gateway: Gateway, token: str, path: str = "/fixed", headers: dict[str, str] | None = None) -> Answer:
    return gateway.request("GET", path, headers={"Authorization": f"Bearer {token}", **(headers or {})})


@pytest.mark.parametrize("source", [DISCOVERED, "jwks_url: '{issuer}/keys'"])
def test_a_token_is_verified_by_the_keys_that_its_issuer_publishes(gateway: Start, issuer: Issuer, source: str) -> None:
    running = gateway(config(issuer, source.format(issuer=issuer.url)))
    assert ask(running, issuer.token()).status == 200
    head, claims, signature = issuer.token().split(".")
    assert ask(running, f"{head}.{claims}.{signature[::-1]}").status == 401


def test_rotation_under_load_fails_no_request(gateway: Start, issuer: Issuer) -> None:
    running = gateway(config(issuer))
    assert ask(running, issuer.token()).status == 200
    stop, statuses, fetches = threading.Event(), [], issuer.fetches

    def load() -> None:
        number = 0
        while not stop.is_set():
            number += 1
            statuses.append(ask(running, issuer.token(f"user-{number}-{threading.get_ident()}")).status)

    with ThreadPoolExecutor(4) as threads:
        working = [threads.submit(load) for _ in range(4)]
        until(lambda: len(statuses) > 50)
        before = len(statuses)
        issuer.rotate()
        until(lambda: len(statuses) > before + 100)
        stop.set()
        for each in working:
            each.result()
    assert set(statuses) == {200}
    assert issuer.fetches == fetches + 1, "one fetch for all who waited"


def test_whoever_invents_keys_is_refused_and_makes_one_fetch(gateway: Start, issuer: Issuer) -> None:
    running = gateway(config(issuer))
    assert ask(running, issuer.token()).status == 200
    fetches, started = issuer.fetches, time.monotonic()
    with Issuer() as stranger:
        for _ in range(20):
            stranger.rotate()
            answer = ask(running, stranger.token(iss=issuer.url))
            assert answer.status == 401
    most = 1 + (time.monotonic() - started) // AGAIN_S
    assert 1 <= issuer.fetches - fetches <= most


def test_who_waits_for_the_first_keys_makes_no_fetch_of_their_own(gateway: Start, issuer: Issuer) -> None:
    issuer.open.clear()
    running = gateway(config(issuer))
    until(lambda: issuer.fetches == 1)
    with ThreadPoolExecutor(4) as threads:
        asked = [threads.submit(ask, running, issuer.token(f"user-{number}")) for number in range(4)]
        # Whoever has come before this one is answered has been heard.
        until(lambda: ask(running, "x.y.z").status == 401)
        issuer.open.set()
        assert [answer.result().status for answer in asked] == [200] * 4
    assert issuer.fetches == 1


def test_keys_stay_while_the_issuer_is_down_and_what_they_cannot_decide_fails_closed(
    gateway: Start, issuer: Issuer
) -> None:
    running = gateway(config(issuer))
    token = issuer.token()
    assert ask(running, token).status == 200
    issuer.down = True
    issuer.rotate()
    answer = ask(running, issuer.token())
    assert (answer.status, answer.json["type"].rpartition("#")[2]) == (503, "authentication-unavailable")
    assert ask(running, token).status == 200


def test_without_any_keys_nobody_passes_until_the_issuer_answers(gateway: Start, issuer: Issuer) -> None:
    issuer.down = True
    running = gateway(config(issuer))
    assert ask(running, issuer.token()).status == 503
    issuer.down = False
    until(lambda: ask(running, issuer.token()).status == 200)
    assert "cannot be used" in running.log


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"issuer": "https://evil.example"}, "is the metadata of another issuer"),
        ({"jwks_uri": "https://evil.example/keys"}, "name it in its 'origins'"),
        ({"jwks_uri": "http://10.0.0.1/keys"}, "is not encrypted"),
        ({"jwks_uri": 7}, "names no jwks_uri"),
    ],
)
def test_metadata_that_leads_elsewhere_is_refused(
    gateway: Start, issuer: Issuer, changes: dict[str, object], said: str
) -> None:
    issuer.changes = changes
    running = gateway(config(issuer))
    until(lambda: said in running.log)
    assert ask(running, issuer.token()).status == 503


def test_keys_that_are_taken_back_verify_nothing_more(gateway: Start, issuer: Issuer) -> None:
    running = gateway(config(issuer))
    old = issuer.token()
    assert ask(running, old).status == 200
    issuer.rotate()
    assert ask(running, issuer.token()).status == 200
    assert ask(running, old).status == 401


def test_claims_become_headers_and_a_plan_and_a_clients_own_headers_are_removed(
    gateway: Start, issuer: Issuer, service: Service
) -> None:
    running = gateway(config(issuer, service=service.url))
    token = issuer.token(tenant="blå", roles=["a", "b"], plan="small")
    forged = {"X-Tenant": "green", "X_Roles": "admin"}
    assert ask(running, token, "/items", forged).status == 200
    fields = {name.lower(): value for name, value in service.requests[-1].headers.items()}
    assert (fields["x-tenant"], fields["x-roles"], fields.get("x_roles")) == ("bl%C3%A5", "a,b", None)
    assert fields["x-consumer-plan"] == "small"
    assert ask(running, token, "/items").status == 429, "the plan's limit"
    assert ask(running, issuer.token(), "/items", forged).status == 200
    fields = {name.lower(): value for name, value in service.requests[-1].headers.items()}
    assert not {"x-tenant", "x_roles", "x-roles"} & set(fields), "also where there is no such claim"


def test_a_new_configuration_keeps_the_keys_of_an_issuer_that_stays(gateway: Start, issuer: Issuer) -> None:
    running = gateway(config(issuer))
    token = issuer.token()
    assert ask(running, token).status == 200
    issuer.down = True
    (running.folder / "stagedoor.yaml").write_text(config(issuer).replace("status: 200", "status: 204"))
    until(lambda: ask(running, token).status == 204)
