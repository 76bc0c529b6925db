"""Access tokens of a real provider, with clients that are not ours: authlib for bearer tokens, oauth4webapi for
proofs."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
from authlib.integrations.httpx_client import OAuth2Client
from login import HERE, Provider
from running import Gateway
from service import Service

Json = Any
CONFIG = """
listeners: {{public: {{bind: "127.0.0.1:0", trusted_proxies: ["127.0.0.0/8"]}}}}
clusters: {{shop: {{endpoints: ["{service}"]}}}}
issuers:
  corp: {{issuer: "{issuer}", algorithms: [ES256], discovery: openid}}
routes:
  orders:
    match: {{path: /orders}}
    policies:
      authenticate:
        any:
        - introspection: {{{asked}, remember: {{active: 0s}}}}
        resource: {{identifier: "https://api.example.test", name: Shop}}
      authorize: {{scopes: [orders]}}
    target: {{cluster: shop}}
  remembered:
    match: {{path: /remembered}}
    policies: {{authenticate: {{any: [{{introspection: {{{asked}, remember: {{active: 1h}}}}}}]}}}}
    target: {{cluster: shop}}
  proofs:
    match: {{path: /proofs}}
    policies:
      authenticate:
        any: [{{introspection: {{{asked}, dpop: {{nonce: {{every: 1h}}}}}}}}]
        resource: {{identifier: "https://api.example.test", name: Shop}}
      authorize: {{scopes: [orders]}}
    target: {{cluster: shop}}
  signed:
    match: {{path: /jwt}}
    policies:
      authenticate:
        any: [{{jwt: {{issuers: [corp], audience: [shop], types: [at+jwt], dpop: required}}}}]
        resource: {{identifier: "https://api.example.test/jwt", scopes: [items]}}
    target: {{cluster: shop}}
"""

ASKED = "issuer: corp, client_id: gate, client_secret: the secret of the gate, audience: [shop], subject: /client_id"


@dataclass
class Shop:
    provider: Provider
    service: Service
    gateway: Gateway

    @property
    def address(self) -> str:
        return str(self.gateway.addresses["listeners"]["public"])

    def ask(self, path: str, token: str) -> httpx.Response:
        return httpx.get(f"http://{self.address}{path}", headers={"authorization": f"Bearer {token}"}, trust_env=False)


@pytest.fixture
def shop(gateway: Callable[..., Gateway], service: Service) -> Iterator[Shop]:
    provider = Provider()
    try:
        provider.serve("http://127.0.0.1:9")
        config = CONFIG.format(issuer=provider.issuer, service=service.url, asked=ASKED)
        yield Shop(provider, service, gateway(config))
    finally:
        provider.end()


def job(shop: Shop) -> OAuth2Client:
    """With a token that is good for ten minutes."""
    client = OAuth2Client("job", "the secret of a job", trust_env=False)
    client.fetch_token(
        f"{shop.provider.issuer}/token",
        grant_type="client_credentials",
        scope="orders",
        resource="https://api.example.test",
    )
    return client


def test_an_opaque_token_is_good_until_it_is_revoked(shop: Shop) -> None:
    with closing(job(shop)) as client:
        token = client.token["access_token"]
        assert "." not in token
        assert client.get(f"http://{shop.address}/orders").status_code == 200
        seen = shop.service.requests[-1].headers
        assert (seen["x-consumer-id"], seen["x-consumer-scopes"]) == ("corp/job", "orders")
        assert shop.ask("/remembered", token).status_code == 200
        answer = client.revoke_token(f"{shop.provider.issuer}/token/revocation", token=token)
        assert answer.status_code == 200
        answer = shop.ask("/orders", token)
        assert (answer.status_code, "invalid_token" in answer.headers["www-authenticate"]) == (401, True)
        assert shop.ask("/remembered", token).status_code == 200, "as long as it is remembered"
    assert shop.ask("/orders", "a-token-of-nobody").status_code == 401


def test_without_its_provider_only_what_is_remembered_is_good(shop: Shop) -> None:
    with closing(job(shop)) as client:
        token = client.token["access_token"]
    assert shop.ask("/remembered", token).status_code == 200
    shop.provider.end()
    answer = shop.ask("/orders", token)
    assert (answer.status_code, answer.json()["type"].partition("#")[2]) == (503, "authentication-unavailable")
    assert shop.ask("/remembered", token).status_code == 200
    assert shop.ask("/remembered", token + "x").status_code == 503


@pytest.mark.parametrize("path", ["/proofs", "/jwt"])
def test_a_client_finds_its_way_and_proves_its_key(shop: Shop, path: str) -> None:
    node = shutil.which("node")
    assert node is not None
    if not (HERE / "node_modules" / "oauth4webapi").exists():
        pytest.skip("oauth4webapi is not installed: make test-tools")
    opaque = path == "/proofs"
    resource = "https://api.example.test" + ("" if opaque else path)
    asked = {"gateway": shop.address, "resource": resource, "url": f"https://api.example.test{path}", "scope": "orders"}
    client = subprocess.run(
        [node, "client.mjs", json.dumps(asked)], cwd=HERE, capture_output=True, text=True, timeout=60
    )
    assert client.returncode == 0, client.stderr
    steps: dict[str, Json] = {step.pop("step"): step for step in json.loads(client.stdout)}
    well_known = "https://api.example.test/.well-known/oauth-protected-resource" + ("" if opaque else path)
    assert (steps["refused"]["status"], steps["refused"]["told"]) == (401, well_known)
    metadata = steps["metadata"]["metadata"]
    assert metadata["scopes_supported"] == (["orders"] if opaque else ["items"])
    assert metadata.get("dpop_bound_access_tokens_required") == (None if opaque else True), "not on every route"
    assert steps["token"]["type"] == "dpop"
    first = {"status": 401, "errors": [["dpop", "use_dpop_nonce"]]} if opaque else {"status": 200}
    assert steps["first call"] == first
    assert [steps[name]["status"] for name in ("second call", "third call")] == [200, 200]
    assert steps["with the key of a thief"] == {"status": 401, "errors": [["dpop", "invalid_token"]]}
    assert steps["as a bearer token"]["status"] == 401
    seen = shop.service.requests[-1].headers
    assert "dpop" not in {name.lower() for name in seen}
    assert "authorization" not in {name.lower() for name in seen}
    assert len(shop.service.requests) == (2 if opaque else 3)
