"""What the gateway signs for its endpoints, verified by libraries that are not ours."""

from __future__ import annotations

import base64
import hashlib
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from flow import write
from http_message_signatures import HTTPMessageVerifier, HTTPSignatureKeyResolver, algorithms
from http_message_signatures.exceptions import HTTPMessageSignaturesException
from running import Gateway, until
from service import Seen, Service
from standardwebhooks import Webhook, WebhookVerificationError

KEYS = {
    "ed25519": (["-algorithm", "ed25519"], algorithms.ED25519),
    "ecdsa-p256-sha256": (["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"], algorithms.ECDSA_P256_SHA256),
    "rsa-pss-sha512": (["-algorithm", "RSA"], algorithms.RSA_PSS_SHA512),
    "rsa-v1_5-sha256": (["-algorithm", "RSA"], algorithms.RSA_V1_5_SHA256),
    "hmac-sha256": ([], algorithms.HMAC_SHA256),
}
SHARED = bytes(range(32))
OLD, NEW = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
CONFIG = """
listeners: {{door: {{bind: "127.0.0.1:0"}}}}
admin: {{bind: "127.0.0.1:0"}}
workers: 1
clusters:
  shop: {{endpoints: ["{service}"], credentials: {credentials}}}
routes:
  flow:
    match: {{path: /flow, methods: [POST]}}
    target: {{workflow: test/flow, input: "${{ .body }}", wait: 20s}}
  all: {{match: {{path: "/{{rest...}}"}}, target: {{cluster: shop}}}}
workflows: ["*.workflow.yaml"]
"""


def start(gateway: Callable[..., Gateway], folder: Path, service: Service, credentials: str) -> Gateway:
    step = {"call": "http", "with": {"method": "post", "endpoint": "cluster://shop/w?a=b", "body": {"sku": "tea"}}}
    write(folder, [{"step": step}])
    return gateway(CONFIG.format(service=service.url, credentials=credentials))


def message(seen: Seen, origin: str) -> SimpleNamespace:
    return SimpleNamespace(method=seen.method, url=f"{origin}{seen.path}", headers=seen.headers, body=seen.body)


@pytest.mark.parametrize("algorithm", KEYS)
def test_a_library_verifies_our_message_signatures(
    gateway: Callable[..., Gateway], service: Service, tmp_path: Path, algorithm: str
) -> None:
    options, known = KEYS[algorithm]
    material = f'secret: "{base64.b64encode(SHARED).decode()}"'
    if options:
        command = ["openssl", "genpkey", *options, "-out", "key.pem"]
        subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=60)
        material = 'private_key: "${file:key.pem}"'
    components = '["@method", "@target-uri", "@authority", "@path", "@query", "content-type"]'
    settings = f"{{key_id: ours, algorithm: {algorithm}, {material}, components: {components}, expires: 1m, tag: shop}}"
    running = start(gateway, tmp_path, service, f"{{signature: {settings}}}")

    class Resolver(HTTPSignatureKeyResolver):
        def resolve_public_key(self, key_id: str) -> object:
            assert key_id == "ours"
            if not options:
                return SHARED
            return load_pem_private_key((tmp_path / "key.pem").read_bytes(), None).public_key()

    verifier = HTTPMessageVerifier(signature_algorithm=known, key_resolver=Resolver())
    body = {"order": 7}
    assert running.request("POST", "/a%20b?c=d&e", body, {"host": "shop.example"}).status == 200
    assert running.request("GET", "/plain", headers={"host": "shop.example"}).status == 200
    assert running.request("POST", "/flow", {}).status == 200
    posted, got, called = service.requests
    for seen, origin in ((posted, "http://shop.example"), (got, "http://shop.example"), (called, service.url)):
        result = verifier.verify(message(seen, origin))[0]
        parameters = result.parameters
        assert (parameters["alg"], parameters["tag"], len(parameters["nonce"])) == (algorithm, "shop", 24)
        assert parameters["expires"] - parameters["created"] == 60
        assert ('"content-digest"' in result.covered_components) == bool(seen.body)
        if seen.body:
            digest = base64.b64encode(hashlib.sha256(seen.body).digest()).decode()
            assert seen.headers["content-digest"] == f"sha-256=:{digest}:"
    changed = Seen("PUT", posted.path, posted.headers, posted.body)
    with pytest.raises(HTTPMessageSignaturesException):
        verifier.verify(message(changed, "http://shop.example"))


def test_a_library_verifies_our_webhooks_by_the_old_secret_and_by_the_new(
    gateway: Callable[..., Gateway], service: Service, tmp_path: Path
) -> None:
    running = start(gateway, tmp_path, service, f'{{webhook: {{secrets: ["{NEW}", "{OLD}"]}}}}')
    until(lambda: running.request("POST", "/hooks", {"paid": True}).status == 200)
    assert running.request("POST", "/flow", {}).status == 200
    hooked, called = service.to("/hooks")[0], service.to("/w")[0]
    for seen in (hooked, called):
        for secret in (OLD, NEW):
            assert Webhook(secret).verify(seen.body, seen.headers) == seen.json
        with pytest.raises(WebhookVerificationError):
            Webhook("whsec_BQUFBQUFBQUFBQUFBQUFBQUFBQUFBQUF").verify(seen.body, seen.headers)
    # Of a call that comes again the id is the same, since its key is.
    key = hashlib.sha256(called.key.encode()).digest()[:18]
    assert called.headers["webhook-id"] == f"msg_{base64.urlsafe_b64encode(key).decode()}"
