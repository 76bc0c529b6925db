"""The admin endpoint over TLS, and operators whom their certificates prove."""

from __future__ import annotations

import hashlib
import http.client
import json
import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from running import Gateway, until
from stagedoor.cli import main

Start = Callable[..., Gateway]
CONFIG = """
listeners: {{public: {{bind: "127.0.0.1:0"}}}}
admin:
  bind: "127.0.0.1:0"
  tls: {{chain: admin.pem, key: admin.key, ca: ca.pem}}
  tokens: {{eve: {{token: the-token-of-eve, role: write}}}}
  certificates:
    ann: {{uri: "spiffe://prod.example/ann", role: write}}
    bob: {{subject: "CN=bob, O=Example"}}
    cid: {{dns: Cid.example}}
    dan: {{email: dan@example.com}}
    fay: {{sha256: "{sha256}"}}
routes: {{all: {{match: {{path: /}}, target: {{response: {{status: 200}}}}}}}}
"""
# By name: subject, subject alternative names, and who that is with which role. None: nobody.
CERTIFICATES: dict[str, tuple[str, str, tuple[str, bool] | None]] = {
    "ann": ("/CN=whoever", "URI:spiffe://prod.example/ann", ("ann", True)),
    "bob": ("/CN=bob/O=Example", "DNS:b.example", ("bob", False)),
    "cid": ("/CN=c", "DNS:CID.example", ("cid", False)),
    "dan": ("/CN=d", "email:dan@example.com", ("dan", False)),
    "fay": ("/CN=f", "DNS:f.example", ("fay", False)),
    "order": ("/O=Example/CN=bob", "DNS:b.example", None),
    "one-value": ("/CN=bob, O=Example", "DNS:b.example", None),
    "below": ("/CN=a", "URI:spiffe://prod.example/ann/x", None),
    "other-kind": ("/CN=spiffe:\\/\\/prod.example\\/ann", "DNS:spiffe.prod.example", None),
    "two-at-once": ("/CN=bob/O=Example", "URI:spiffe://prod.example/ann", None),
}


def openssl(*arguments: str, folder: Path) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True, timeout=60)


def certificate(folder: Path, name: str, subject: str, alternatives: str, ca: str = "ca") -> None:
    new = ("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2")
    made = (
        "-keyout",
        f"{name}.key",
        "-out",
        f"{name}.pem",
        "-subj",
        subject,
        "-addext",
        f"subjectAltName={alternatives}",
    )
    signed = () if name == ca else ("-CA", f"{ca}.pem", "-CAkey", f"{ca}.key", "-addext", "basicConstraints=CA:FALSE")
    openssl(*new, *made, *signed, folder=folder)


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")
    folder = tmp_path_factory.mktemp("pki")
    for authority in ("ca", "other"):
        certificate(folder, authority, f"/CN={authority}", f"DNS:{authority}.example", ca=authority)
    for name in ("admin", "renewed"):
        certificate(folder, name, f"/CN={name}", "IP:127.0.0.1")
    for name, (subject, alternatives, _) in CERTIFICATES.items():
        certificate(folder, name, subject, alternatives)
    certificate(folder, "stranger", "/CN=whoever", "URI:spiffe://prod.example/ann", ca="other")
    return folder


@pytest.fixture
def door(pki: Path, tmp_path: Path, gateway: Start) -> Gateway:
    for name in ("admin.pem", "admin.key", "ca.pem"):
        shutil.copy(pki / name, tmp_path / name)
    der = ssl.PEM_cert_to_DER_cert((pki / "fay.pem").read_text())
    return gateway(CONFIG.format(sha256=hashlib.sha256(der).hexdigest()))


def ask(
    door: Gateway, pki: Path, name: str | None, method: str = "GET", path: str = "/consumers", **fields: str
) -> tuple[int, Any]:
    context = ssl.create_default_context(cafile=pki / "ca.pem")
    if name is not None:
        context.load_cert_chain(pki / f"{name}.pem", pki / f"{name}.key")
    connection = http.client.HTTPSConnection(door.addresses["admin"], timeout=30, context=context)
    try:
        body = json.dumps({"name": f"of-{name}"}) if method == "POST" else None
        connection.request(method, path, body, {key.replace("_", "-"): value for key, value in fields.items()})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


def test_an_operator_is_who_its_certificate_says_with_its_role(door: Gateway, pki: Path) -> None:
    for name, (_, _, known) in CERTIFICATES.items():
        expected = (401, 401) if known is None else (200, 201 if known[1] else 403)
        assert (ask(door, pki, name)[0], ask(door, pki, name, "POST")[0]) == expected, name
    assert ask(door, pki, None)[0] == 401
    assert ask(door, pki, None, path="/healthz")[0] == 200
    assert ask(door, pki, None, "POST", Authorization="Bearer the-token-of-eve")[0] == 201
    assert ask(door, pki, "ann", Authorization="Bearer a-wrong-token-of-eve")[0] == 401
    audit = ask(door, pki, "bob", path="/audit")[1]["audit"]
    assert [line["who"] for line in audit] == ["eve", "ann"]
    with pytest.raises((ssl.SSLError, ConnectionError, http.client.RemoteDisconnected)):
        ask(door, pki, "stranger")


def test_a_new_certificate_of_the_endpoint_is_used_without_a_restart(door: Gateway, pki: Path, tmp_path: Path) -> None:
    for kind in ("key", "pem"):
        shutil.copy(pki / f"renewed.{kind}", tmp_path / f"admin.{kind}")

    def subject() -> str:
        context = ssl.create_default_context(cafile=pki / "ca.pem")
        host, _, port = door.addresses["admin"].rpartition(":")
        with (
            socket.create_connection((host, int(port)), timeout=30) as plain,
            context.wrap_socket(plain, server_hostname="127.0.0.1") as stream,
        ):
            shown: Any = stream.getpeercert()
            return str(dict(pair for relative in shown["subject"] for pair in relative)["commonName"])

    until(lambda: subject() == "renewed")


def test_commands_show_a_certificate(door: Gateway, pki: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    url = f"https://{door.addresses['admin']}"
    monkeypatch.delenv("STAGEDOOR_ADMIN_TOKEN", raising=False)
    monkeypatch.setenv("STAGEDOOR_ADMIN_CA", str(pki / "ca.pem"))
    assert main(["consumers", "list", "--admin", url]) == 1
    assert "STAGEDOOR_ADMIN_CERTIFICATE" in capsys.readouterr().err
    monkeypatch.setenv("STAGEDOOR_ADMIN_CERTIFICATE", str(pki / "ann.pem"))
    monkeypatch.setenv("STAGEDOOR_ADMIN_KEY", str(pki / "ann.key"))
    assert main(["consumers", "create", "web", "--admin", url]) == 0
    assert main(["consumers", "list", "--admin", url]) == 0
    assert "web" in capsys.readouterr().out
