"""Logins at a real OpenID provider, through real sockets."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

import pytest
from login import Browser, Provider
from running import Gateway, until
from service import Service

CONFIG = """
listeners: {{public: {{bind: "127.0.0.1:0"}}}}
clusters:
  login: {{endpoints: ["{issuer}"]}}
  shop: {{endpoints: ["{service}"]}}
issuers:
  corp:
    issuer: {issuer}
    algorithms: [ES256]
    {keys}
policies:
  authenticate:
    any:
    - oidc:
        issuer: corp
        client_id: shop
        require_iss: true
        client_secret: a secret & more
        scopes: [openid, profile, offline_access]
        parameters: {{prompt: consent}}
        after_logout: /goodbye
        session: {{secrets: ["a secret that seals sessions, long enough"]}}
        claims: {{groups: /groups}}
routes:
  all: {{match: {{path: "/{{rest...}}"}}, target: {{cluster: shop}}}}
  goodbye:
    match: {{path: /goodbye}}
    policies: {{authenticate: off}}
    target: {{response: {{status: 200, body: bye}}}}
"""


FIXED = """jwks: '{jwks}'
    cluster: login
    endpoints: {{authorization: "{issuer}/auth", token: "{issuer}/token", end_session: "{issuer}/session/end"}}"""


@dataclass
class Shop:
    provider: Provider
    service: Service
    origin: str


@pytest.fixture(params=["fixed", "discovered"])
def shop(request: pytest.FixtureRequest, gateway: Callable[..., Gateway], service: Service) -> Iterator[Shop]:
    """What the gateway knows of the provider is in its configuration, or fetched."""
    provider = Provider()
    try:
        fixed = FIXED.format(jwks=provider.jwks, issuer=provider.issuer)
        keys = fixed if request.param == "fixed" else "discovery: openid"
        running = gateway(CONFIG.format(issuer=provider.issuer, keys=keys, service=service.url))
        origin = f"http://{running.addresses['listeners']['public']}"
        provider.serve(origin)
        with Browser() as browser:
            browser.follow_redirects = False
            until(lambda: browser.get(origin).status_code == 302)
        yield Shop(provider, service, origin)
    finally:
        provider.end()


def test_a_user_logs_in_comes_back_to_the_page_and_logs_out(shop: Shop) -> None:
    with Browser() as browser:
        page = browser.log_in(f"{shop.origin}/echo?tab=1", "alice")
        assert (page.status_code, str(page.url)) == (200, f"{shop.origin}/echo?tab=1")
        seen = shop.service.requests[-1].headers
        assert (seen["x-consumer-id"], seen["x-consumer-groups"]) == ("corp/alice", "staff")
        assert "stagedoor" not in seen.get("cookie", "")
        assert [cookie.name for cookie in browser.cookies.jar if cookie.name.startswith("stagedoor")] == ["stagedoor"]
        # A script of the page has the session too.
        script = {"sec-fetch-mode": "cors", "accept": "application/json"}
        assert browser.get(f"{shop.origin}/echo", headers=script).status_code == 200

        asked = browser.get(f"{shop.origin}/oauth2/logout", headers={"sec-fetch-site": "same-origin"})
        assert asked.status_code == 200
        assert str(asked.url).startswith(f"{shop.provider.issuer}/session/end")
        page = browser.submit(asked, logout="yes")
        assert (str(page.url).partition("?")[0], page.text) == (f"{shop.origin}/goodbye", "bye")
        assert browser.get(f"{shop.origin}/echo", headers=script).status_code == 401


def test_a_session_is_refreshed_with_a_token_that_the_provider_takes_once(shop: Shop) -> None:
    with Browser() as browser:
        browser.log_in(f"{shop.origin}/echo", "alice")
        for times in (1, 2):

            def refreshed(times: int = times) -> bool:
                assert browser.get(f"{shop.origin}/echo").status_code == 200
                return shop.provider.log.count("refresh_token") >= times

            until(refreshed)
        assert str(browser.get(f"{shop.origin}/echo").url) == f"{shop.origin}/echo"


def test_a_code_of_one_login_is_worth_nothing_in_another_and_nothing_twice(shop: Shop) -> None:
    with Browser() as browser, Browser() as other:
        page = browser.submit(browser.get(f"{shop.origin}/echo"), login="alice", password="any")
        browser.follow_redirects = False
        answer = browser.submit(page)
        while urlsplit(location := answer.headers["location"]).path != "/oauth2/callback":
            answer = browser.get(location)
        query = parse_qs(urlsplit(location).query)
        assert query["iss"] == [shop.provider.issuer]
        assert other.get(location).status_code == 400
        assert browser.get(location).headers["location"] == "/echo"
        assert browser.get(location).status_code == 400


def test_without_its_provider_nobody_comes_in(shop: Shop) -> None:
    with Browser() as browser:
        page = browser.submit(browser.get(f"{shop.origin}/echo"), login="alice", password="any")
        browser.follow_redirects = False
        answer = browser.submit(page)
        while urlsplit(location := answer.headers["location"]).path != "/oauth2/callback":
            answer = browser.get(location)
        shop.provider.end()
        answer = browser.get(location)
        assert (answer.status_code, answer.json()["type"].partition("#")[2]) == (503, "authentication-unavailable")
        assert browser.get(f"{shop.origin}/echo", headers={"sec-fetch-mode": "cors"}).status_code == 401
