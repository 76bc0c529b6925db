"""Tokens of calls, of a real issuer: by discovery and by its token endpoint, proved by secrets and by a key."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from calls.test_call_authentication import document, get
from flow import config
from joserfc.jwk import ECKey
from oidc.test_cluster_tokens import Issuer
from running import Gateway
from service import Service

Json = Any


@pytest.fixture
def issuer(tmp_path: Path) -> Iterator[Issuer]:
    key = ECKey.generate_key("P-256")
    (tmp_path / "client.pem").write_bytes(key.as_pem(private=True))
    issuer = Issuer(key)
    yield issuer
    issuer.end()


def test_a_real_issuer_gives_calls_their_tokens(
    gateway: Callable[..., Gateway], service: Service, issuer: Issuer, tmp_path: Path
) -> None:
    common = {"authority": issuer.url, "grant": "client_credentials", "scopes": ["read"]}
    basic = {"id": "gateway", "secret": "${ $secrets.word }", "authentication": "client_secret_basic"}
    key = {"id": "gateway-with-a-key", "secret": "${ $secrets.key }", "authentication": "private_key_jwt"}
    shared = {"id": "gateway-with-a-shared-key", "authentication": "client_secret_jwt"}
    shared["secret"] = "a secret of at least 32 characters"
    wrong, led = {**basic, "secret": "another"}, {**common, "authority": "cluster://issuer"}
    proofs = {
        "discovered": {"oidc": {**common, "client": basic}},
        "named": {"oauth2": {**common, "client": basic, "endpoints": {"token": "/token"}}},
        "keyed": {"oidc": {**common, "client": key}},
        "shared": {"oidc": {**common, "client": shared}},
        "shared-by-url": {"oauth2": {**common, "client": shared, "endpoints": {"token": "/token"}}},
        "led": {"oidc": {**led, "client": basic}},
        "led-and-keyed": {"oidc": {**led, "client": key}},
    }
    do = [{name: get(f"cluster://service/{name}", proof)} for name, proof in proofs.items()]
    refused = {"try": [{"four": get("cluster://service/four", {"oidc": {**common, "client": wrong}})}]}
    do.append({"refused": {**refused, "catch": {"as": "error", "do": [{"said": {"set": "${ $error }"}}]}}})
    document(tmp_path, do, secrets=["word", "key"])
    secrets = 'secrets: {word: "a secret & more", key: "${file:client.pem}"}'
    text = config(service.port, extra=f'engine: {{allow_hosts: ["{issuer.url}"], {secrets}}}')
    running = gateway(text.replace("clusters: {", f'clusters: {{issuer: {{endpoints: ["{issuer.url}"]}}, '))
    error = running.request("POST", "/flow", {}).json
    assert "answered 401: invalid_client" in error["detail"], json.dumps(error)
    assert [seen.path for seen in service.requests] == [f"/{name}" for name in proofs], (error, issuer.log)
    tokens = {seen.headers["authorization"].removeprefix("Bearer ") for seen in service.requests}
    assert len(tokens) == len(proofs)
    assert all(len(token) > 20 for token in tokens)
