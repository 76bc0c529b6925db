"""Passwords, certificates and signature keys that consumers are given while the gateway runs."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import shutil
import sqlite3
import ssl
import subprocess
import uuid
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from http_message_signatures import HTTPMessageSigner, HTTPSignatureKeyResolver, algorithms
from running import Gateway, until
from test_registry import WRITE, ask, run, said, status

Start = Callable[..., Gateway]
Json = Any
HERE = Path(__file__).parent
HASH = "$argon2id$v=19$m=256,t=2,p=1$c29tZXNhbHQ$nf65EOgLrQMR/uIPnA4rEsF5h7TKyQwu9U1bMCHGi/4"
"""Of ``password``, by the reference implementation."""
FIXED_KEY = "302a300506032b6570032100d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
FIXED_PEM = (
    f"-----BEGIN PUBLIC KEY-----\\n{base64.b64encode(bytes.fromhex(FIXED_KEY)).decode()}\\n-----END PUBLIC KEY-----"
)
ADMIN = """
admin:
  bind: "127.0.0.1:0"
  tokens: {ann: {token: "ann-may-write-here", role: write}, bob: {token: "bob-may-only-read"}}
workers: 2
"""
CONSUMERS = f"""
consumers:
  fixed:
    basic: [{{username: dora, password_hash: "{HASH}"}}]
    certificates: [{{dns: fixed.example}}]
    signature_keys: [{{id: fixed-1, algorithm: ed25519, public_key: "{FIXED_PEM}"}}]
"""
ROUTES = """
routes:
  open:
    match: {path: /open}
    policies: {authenticate: {any: [basic, {signature: {components: ["@method", "@target-uri"]}}, api_key]}}
    target: {response: {status: 200, body: open}}
  orders:
    match: {path: /orders}
    policies: {authenticate: {any: [basic, api_key]}, authorize: {scopes: [orders]}}
    target: {response: {status: 200, body: orders}}
"""
CONFIG = 'listeners: {public: {bind: "127.0.0.1:0"}}' + ADMIN + CONSUMERS + ROUTES


def login(gateway: Gateway, name: str, password: str, path: str = "/open") -> int:
    token = base64.b64encode(f"{name}:{password}".encode()).decode()
    return gateway.request("GET", path, headers={"Authorization": f"Basic {token}"}).status


def test_a_name_and_a_password_are_good_at_the_next_request_and_refused_at_the_next(
    gateway: Start, tmp_path: Path
) -> None:
    running = gateway(CONFIG)
    said(running, "consumers", "create", "web")
    made = said(running, "credentials", "create", "basic", "web", "--scope", "orders", "--description", "for the shop")
    password, id = made["password"], made["id"]
    assert (made["username"], len(password), id.startswith("web/basic/")) == ("web", 32, True)
    assert [login(running, "web", password), login(running, "web", password, "/orders")] == [200, 200]
    assert login(running, "web", password[:-1]) == 401
    (tmp_path / "password").write_text("pass: word ü\n")
    own = said(
        running,
        *("credentials", "create", "basic", "web", "--username", "Ü-2"),
        *("--password-file", str(tmp_path / "password")),
    )
    assert "password" not in own
    assert [login(running, "Ü-2", "pass: word ü"), login(running, "Ü-2", "pass: word ü", "/orders")] == [200, 403]
    ready = ("credentials", "create", "basic", "web", "--username", "ready", "--password-hash", HASH)
    assert run(running, *ready).returncode == 0
    assert login(running, "ready", "password") == 200
    assert said(running, "consumers", "list")["consumers"][1]["credentials"] == 3
    said(running, "consumers", "update", "web", "--disable")
    assert login(running, "web", password) == 401
    said(running, "consumers", "update", "web", "--enable")
    assert login(running, "web", password) == 200
    assert run(running, "credentials", "revoke", "web", id).stdout == f"{id} is revoked\n"
    assert [login(running, "web", password), login(running, "ready", "password")] == [401, 200]
    assert "ready" in run(running, "consumers", "show", "web").stdout
    run(running, "consumers", "delete", "web")
    assert [login(running, "ready", "password"), login(running, "dora", "password")] == [401, 200]


def test_a_rotated_password_overlaps_with_the_new_one(gateway: Start) -> None:
    running = gateway(CONFIG)
    said(running, "consumers", "create", "web")
    old = said(running, "credentials", "create", "basic", "web", "--scope", "orders", "--expires", "90d")
    rotate = ("credentials", "rotate", "basic", "web")
    new = said(running, *rotate, old["id"], "--overlap", "1h")
    assert new["password"] != old["password"]
    assert (new["username"], new["scopes"], new["expires"]) == ("web", ["orders"], old["expires"])
    assert {login(running, "web", each["password"], "/orders") for each in (old, new)} == {200}
    assert login(running, "web", "neither of the two") == 401
    assert "there are 2 for 'web', which is the bound" in run(running, *rotate, new["id"]).stderr
    run(running, "credentials", "revoke", "web", old["id"])
    last = said(running, *rotate, new["id"], "--overlap", "0s")
    assert [login(running, "web", each["password"]) for each in (old, new, last)] == [401, 401, 200]
    listed = said(running, "credentials", "list", "web")["credentials"]
    assert [each["id"] for each in listed] == [last["id"]]


def openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True, timeout=60)


def certificate(folder: Path, name: str, subject: str, alternatives: str) -> None:
    new = ("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2")
    made = ("-keyout", f"{name}.key", "-out", f"{name}.pem", "-subj", subject)
    signed = () if name == "ca" else ("-CA", "ca.pem", "-CAkey", "ca.key", "-addext", "basicConstraints=CA:FALSE")
    openssl(folder, *new, *made, "-addext", f"subjectAltName={alternatives}", *signed)


def test_certificates_are_known_by_what_the_files_ones_are(gateway: Start, tmp_path: Path) -> None:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    listener = 'listeners: {public: {bind: "127.0.0.1:0", tls: {certificates: [{chain: a.pem, key: a.key}],'
    listener += " client: {mode: optional, ca: ca.pem}}}}"
    route = "routes: {open: {match: {path: /open}, policies: {authenticate: {any: [{mtls: {by: [subject, dns, uri, "
    route += "email, ip, spiffe, sha256]}}]}}, target: {response: {status: 200}}}}"
    certificate(tmp_path, "ca", "/CN=ca", "DNS:ca.example")
    certificate(tmp_path, "a", "/CN=a", "IP:127.0.0.1")
    names = "DNS:Billing.example,URI:spiffe://prod.example/billing,email:ann@example.com,IP:192.0.2.7"
    certificate(tmp_path, "client", "/CN=billing/O=Example", names)
    running = gateway(listener + ADMIN + CONSUMERS + route)

    def shown() -> int:
        context = ssl.create_default_context(cafile=tmp_path / "ca.pem")
        context.load_cert_chain(tmp_path / "client.pem", tmp_path / "client.key")
        connection = http.client.HTTPSConnection(running.addresses["listeners"]["public"], timeout=30, context=context)
        try:
            connection.request("GET", "/open")
            return connection.getresponse().status
        finally:
            connection.close()

    said(running, "consumers", "create", "billing")
    assert shown() == 401
    digest = hashlib.sha256(ssl.PEM_cert_to_DER_cert((tmp_path / "client.pem").read_text())).hexdigest()
    for field, value in (
        ("subject", "CN=billing, O=Example"),
        ("dns", "billing.EXAMPLE"),
        ("uri", "spiffe://prod.example/billing"),
        ("email", "ann@example.com"),
        ("ip", "192.0.2.7"),
        ("spiffe", "spiffe://prod.example/billing"),
        ("sha256", digest.upper()),
    ):
        made = said(running, "credentials", "create", "mtls", "billing", f"--{field}", value)
        assert shown() == 200, field
        run(running, "credentials", "revoke", "billing", made["id"])
        assert shown() == 401, field
    # Of several that say the same of one certificate, one that has ended takes nothing from the others.
    one = said(running, "credentials", "create", "mtls", "billing", "--dns", "billing.example")
    two = said(running, "credentials", "rotate", "mtls", "billing", one["id"], "--sha256", digest, "--overlap", "0s")
    assert shown() == 200
    [row] = [each for each in said(running, "credentials", "list", "billing")["credentials"] if each["id"] != two["id"]]
    assert (row["certificate"], row["expires"] is not None) == ({"dns": "billing.example"}, True)
    run(running, "credentials", "revoke", "billing", two["id"])
    assert shown() == 401
    said(running, "consumers", "create", "other")
    for name, field, value in (("billing", "ip", "192.0.2.7"), ("other", "email", "ann@example.com")):
        said(running, "credentials", "create", "mtls", name, f"--{field}", value)
    assert shown() == 401, "a certificate of two consumers is nobody's"


class Signer(HTTPSignatureKeyResolver):
    def __init__(self, gateway: Gateway) -> None:
        self.gateway, self.key = gateway, Ed25519PrivateKey.generate()

    def resolve_private_key(self, key_id: str) -> bytes:
        return self.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def public(self, folder: Path) -> str:
        file = folder / f"{uuid.uuid4()}.pem"
        file.write_bytes(self.key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
        return str(file)

    def sign(self, key_id: str) -> int:
        address = next(iter(self.gateway.addresses["listeners"].values()))
        message = SimpleNamespace(method="GET", url=f"http://{address}/open", headers={})
        signer = HTTPMessageSigner(signature_algorithm=algorithms.ED25519, key_resolver=self)
        covered = ("@method", "@target-uri")
        signer.sign(
            message,
            key_id=key_id,
            created=datetime.now(),
            nonce=str(uuid.uuid4()),
            covered_component_ids=covered,
        )
        return self.gateway.request("GET", "/open", headers=message.headers).status


def test_signature_keys_are_good_at_the_next_request_and_revoked_at_the_next(gateway: Start, tmp_path: Path) -> None:
    running = gateway(CONFIG)
    said(running, "consumers", "create", "partner")
    old, new = Signer(running), Signer(running)
    create = ("credentials", "create", "signature", "partner", "--algorithm", "ed25519")
    assert old.sign("partner-1") == 401
    made = said(running, *create, "--key-id", "partner-1", "--public-key", old.public(tmp_path))
    assert [old.sign("partner-1"), new.sign("partner-1")] == [200, 401]
    rotate = ("credentials", "rotate", "signature", "partner", made["id"])
    next_one = said(running, *rotate, "--key-id", "partner-2", "--public-key", new.public(tmp_path))
    assert (next_one["algorithm"], next_one["key_id"]) == ("ed25519", "partner-2")
    assert [old.sign("partner-1"), new.sign("partner-2"), old.sign("partner-2")] == [200, 200, 401]
    run(running, "credentials", "revoke", "partner", made["id"])
    assert [old.sign("partner-1"), new.sign("partner-2")] == [401, 200]
    elsewhere = said(
        running,
        *(*create, "--key-id", "partner-3", "--public-key", old.public(tmp_path)),
        *("--network", "10.0.0.0/8"),
    )
    assert old.sign("partner-3") == 403
    assert elsewhere["last_used"] is None


def test_what_is_taken_wrong_or_too_much_is_told_and_changes_nothing(gateway: Start) -> None:
    running = gateway(CONFIG)
    for name in ("web", "app"):
        said(running, "consumers", "create", name)
    public = FIXED_PEM.replace("\\n", "\n")
    private = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    basic, mtls, key = {"kind": "basic"}, {"kind": "mtls"}, {"kind": "signature", "algorithm": "ed25519"}
    good: Json = basic | {"password_hash": HASH}
    for body in (good, mtls | {"certificate": {"dns": "web.example"}}, key | {"key_id": "k", "public_key": public}):
        assert ask(running, "POST", "/consumers/web/credentials", body).status == 201
    id = said(running, "credentials", "list", "web")["credentials"][0]["id"]
    before = said(running, "audit")["audit"]
    for consumer, body, expected, detail in (
        ("web", good, 409, "'web' is of 'web' already"),
        ("app", good | {"username": "web"}, 409, "'web' is of 'web' already"),
        ("app", good | {"username": "dora"}, 409, "'dora' is of 'fixed' in the configuration already"),
        ("app", mtls | {"certificate": {"dns": "WEB.example"}}, 409, "'dns:web.example' is of 'web' already"),
        ("app", mtls | {"certificate": {"dns": "fixed.example"}}, 409, "of 'fixed' in the configuration"),
        ("app", key | {"key_id": "k", "public_key": public}, 409, "'k' is of 'web' already"),
        ("app", key | {"key_id": "fixed-1", "public_key": public}, 409, "of 'fixed' in the configuration"),
        ("fixed", good | {"username": "new"}, 409, "one of the configuration"),
        ("none", good, 404, "no consumer 'none'"),
        ("app", {}, 400, "kind: expected one of basic, mtls, signature"),
        ("app", [], 400, "kind: "),
        ("app", {"kind": ["basic"]}, 400, "kind: "),
        ("app", basic | {"password": "short-1"}, 400, "password: a password is 8 to 512 characters"),
        ("app", basic | {"password": "line\nbreak-1"}, 400, "password: "),
        ("app", basic | {"password": "ü" * 512}, 400, "at most 1024 bytes together"),
        ("app", good | {"password": "long-enough-1"}, 400, "not both"),
        ("app", basic | {"password_hash": "hunter2-as-it-is"}, 400, "the hash begins neither with"),
        ("app", basic | {"password_hash": HASH.replace("m=256", "m=65537")}, 400, "at most 65536 are allowed"),
        ("app", good | {"username": "a:b"}, 400, "username: "),
        ("app", good | {"networks": ["10.0.0.0/40"]}, 400, "networks.0: "),
        ("app", good | {"expires": "2001-01-01T00:00:00Z"}, 400, "that time is over"),
        ("app", mtls | {"certificate": {"dns": "a", "uri": "b"}}, 400, "exactly one"),
        ("app", mtls, 400, "certificate: "),
        ("app", key | {"key_id": "x", "public_key": "nothing"}, 400, "it is "),
        ("app", key | {"key_id": "x", "public_key": private}, 400, "private where a public key is expected"),
        ("app", key | {"key_id": "x", "public_key": "x" * 8193}, 400, "public_key: "),
        ("app", key | {"key_id": "x", "public_key": public, "algorithm": "rsa-pss-sha512"}, 400, "it is "),
        ("app", key | {"key_id": "x", "public_key": public, "algorithm": "md5"}, 400, "expected one of ecdsa-p256"),
        ("app", key | {"key_id": "x", "algorithm": "hmac-sha256"}, 400, "the registry keeps no shared secrets"),
        ("app", key | {"key_id": "x", "public_key": public, "secret": "c2VjcmV0"}, 400, "secret: "),
    ):
        answer = ask(running, "POST", f"/consumers/{consumer}/credentials", body)
        assert (answer.status, detail in answer.json["detail"]) == (expected, True), (body, answer.json)
        for secret in ("hunter2", "short-1", "break-1", "c2VjcmV0", private.split("\n")[1]):
            assert secret not in answer.body.decode()
    for method, path, body, expected, detail in (
        ("DELETE", "/consumers/web/credentials/web/basic/none", None, 404, "no credential"),
        ("DELETE", f"/consumers/app/credentials/{id}", None, 404, "no credential"),
        ("POST", f"/consumers/web/credentials/{id}/rotate", {"certificate": {"dns": "a"}}, 400, "certificate: "),
        ("POST", f"/consumers/web/credentials/{id}/rotate", {"overlap": "400d"}, 400, "overlap: "),
        ("GET", "/consumers/none/credentials", None, 404, "no consumer"),
    ):
        answer = ask(running, method, path, body)
        assert (answer.status, detail in answer.json["detail"]) == (expected, True), (path, answer.json)
    assert ask(running, "POST", "/consumers/app/credentials", good, token="bob-may-only-read").status == 403
    assert ask(running, "GET", "/consumers/web/credentials", token="bob-may-only-read").status == 200
    assert said(running, "audit")["audit"] == before
    for number in range(100):
        made = ask(running, "POST", "/consumers/app/credentials", mtls | {"certificate": {"dns": f"{number}.example"}})
        assert made.status == 201
    full = ask(running, "POST", "/consumers/app/credentials", good | {"username": "one-more"})
    assert (full.status, "'app' has 100 credentials, which is the bound" in full.json["detail"]) == (409, True)


def test_everything_is_there_after_a_restart_and_no_password_is_kept_or_told(gateway: Start, tmp_path: Path) -> None:
    running = gateway(CONFIG)
    said(running, "consumers", "create", "web")
    password = said(running, "credentials", "create", "basic", "web")["password"]
    given = ask(
        running, "POST", "/consumers/web/credentials", {"kind": "basic", "username": "b", "password": "given-one"}
    )
    said(running, "credentials", "rotate", "basic", "web", given.json["id"], "--overlap", "1h")
    assert [login(running, "web", password), login(running, "b", "given-one")] == [200, 200]
    lines = said(running, "audit")["audit"]
    assert [line["action"] for line in lines[:3]] == ["rotate credential", "create credential", "create credential"]
    assert (lines[0]["before"]["username"], lines[0]["after"]["username"], lines[0]["who"]) == ("b", "b", "ann")
    told = json.dumps(lines) + json.dumps(said(running, "credentials", "list", "web"))
    assert "argon2" not in told
    running.end()
    for file in tmp_path.rglob("*"):
        content = file.read_bytes() if file.is_file() else b""
        assert password.encode() not in content, file
        assert b"given-one" not in content, file
    again = gateway()
    assert [login(again, "web", password), login(again, "b", "given-one")] == [200, 200]
    (used,) = (each for each in said(again, "credentials", "list", "web")["credentials"] if each["username"] == "web")
    assert used["last_used"]


def test_what_the_file_takes_later_is_the_files_and_told(gateway: Start, tmp_path: Path) -> None:
    running = gateway(CONFIG)
    said(running, "consumers", "create", "web")
    made = said(running, "credentials", "create", "basic", "web", "--username", "late")
    assert login(running, "late", made["password"]) == 200
    (tmp_path / "stagedoor.yaml").write_text(CONFIG.replace("username: dora", "username: late"))
    until(lambda: login(running, "late", "password") == 200)
    until(lambda: f"the credential '{made['id']}' is not taken: it is 'fixed' of the configuration" in running.log)
    assert login(running, "late", made["password"]) == 401


def test_a_store_of_the_version_before_is_taken_over_whole(gateway: Start, tmp_path: Path) -> None:
    key = "sd_b9iRqI4fmYNW_ouvW2hwseDnMvNzroism0KDm1mIuRglPKxYClNeLxXQ"
    secret = "07faaf28b5c97301a2a14fd4cf1013caeb7b013fc52ec5d574415feabafce4e5"
    (tmp_path / "stagedoor.db.registry.key").write_bytes(bytes.fromhex(secret))
    old = sqlite3.connect(tmp_path / "stagedoor.db.registry")
    old.executescript((HERE / "version_1.sql").read_text())
    tables = ("consumer", "api_key", "plan", "audit")
    before = {table: old.execute(f"SELECT * FROM {table}").fetchall() for table in tables}
    old.close()
    # Pinned to nothing yet.
    before["consumer"] = [(*row, "{}") for row in before["consumer"]]
    running = gateway(CONFIG)
    new = sqlite3.connect(tmp_path / "stagedoor.db.registry")
    assert {table: new.execute(f"SELECT * FROM {table}").fetchall() for table in tables} == before
    assert new.execute("SELECT version FROM registry_version").fetchall() == [(3,)]
    new.close()
    assert [status(running, key), status(running, key, "/orders")] == [200, 200]
    made = said(running, "credentials", "create", "basic", "web")
    assert login(running, "web", made["password"]) == 200
    shown = said(running, "consumers", "show", "web")
    assert (shown["plan"], shown["groups"], len(shown["api_keys"])) == ("gold", ["staff"], 1)
    assert len(said(running, "audit")["audit"]) == 5
    assert WRITE not in running.log
