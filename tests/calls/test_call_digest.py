"""Digest authentication (RFC 7616) against lighttpd, and against challenges as the standard has them."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from calls.test_call_authentication import PASSWORD, document, get
from flow import config
from running import Gateway, until
from stagedoor.engine import digest

Start = Callable[..., Gateway]
LIGHTTPD = shutil.which("lighttpd") or shutil.which("/usr/sbin/lighttpd")
DIGEST = {"digest": {"username": "jürgen", "password": "${ $secrets.word }"}}

if LIGHTTPD is None and os.environ.get("CI"):
    pytest.fail("lighttpd is missing: make test-tools", pytrace=False)


@pytest.fixture(params=["MD5", "SHA-256 with userhash"])
def lighttpd(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """Its socket."""
    if LIGHTTPD is None:
        pytest.skip("needs lighttpd: make test-tools")
    algorithm, _, userhash = request.param.partition(" ")
    make = hashlib.md5 if algorithm == "MD5" else hashlib.sha256
    name = "jürgen:shop"
    fields = [make(f"{name}:{PASSWORD}".encode()).hexdigest()]
    if userhash:
        fields.append(make(name.encode()).hexdigest())
    folder = tmp_path / "lighttpd"
    folder.mkdir()
    (folder / "users").write_text(f"{name}:{':'.join(fields)}\n")
    (folder / "item.json").write_text('{"guarded": true}')
    option = '"userhash" => "enable",' if userhash else ""
    (folder / "conf").write_text(
        f"""
server.document-root = "{folder}"
server.bind = "{folder}/socket"
server.modules = ("mod_auth", "mod_authn_file", "mod_accesslog")
mimetype.assign = (".json" => "application/json")
accesslog.filename = "{folder}/access"
accesslog.format = "%s"
auth.backend = "htdigest"
auth.backend.htdigest.userfile = "{folder}/users"
auth.require = ("/" => ("method" => "digest", "realm" => "shop", {option}
    "algorithm" => "{algorithm}", "require" => "valid-user"))
"""
    )
    process = subprocess.Popen([LIGHTTPD, "-D", "-f", str(folder / "conf")])
    try:
        until((folder / "socket").exists)
        yield folder / "socket"
    finally:
        process.terminate()
        process.wait(10)


def test_a_real_server_takes_the_digest_and_is_asked_for_a_challenge_once(
    gateway: Start, lighttpd: Path, tmp_path: Path
) -> None:
    item = "cluster://lighttpd/item.json?a=b%20c"
    wrong = {"try": [{"four": get(item, {"digest": {"username": "jürgen", "password": "no"}})}]}
    do = [{name: get(item, DIGEST)} for name in ("one", "two", "three")]
    do.append({"wrong": {**wrong, "catch": {"as": "error", "do": [{"said": {"set": "${ $error }"}}]}}})
    document(tmp_path, do, secrets=["word"])
    extra = f"engine: {{secrets: {{word: {PASSWORD}}}}}"
    configuration = config(1, extra=extra).replace(
        "clusters: {", f'clusters: {{lighttpd: {{endpoints: ["unix:{lighttpd}"]}}, '
    )
    running = gateway(configuration)
    answer = running.request("POST", "/flow", {})
    assert answer.json["type"].endswith("/errors/communication"), "it is the service's own answer"
    assert answer.json["status"] == 401
    assert running.request("POST", "/flow", {}).status == 200
    assert running.end() == 0
    for file in tmp_path.iterdir():
        assert not file.is_file() or file.name == "stagedoor.yaml" or PASSWORD.encode() not in file.read_bytes(), file


def test_the_strongest_of_several_challenges_is_met() -> None:
    fields = [
        ("www-authenticate", 'Basic realm="a, b", Digest realm="r", nonce="n1", algorithm=MD5, qop="auth"'),
        (
            "www-authenticate",
            'Digest realm="q\\"r", nonce="n2", algorithm=SHA-256-sess, qop="auth-int,auth", opaque="o"',
        ),
        ("www-authenticate", 'Digest realm="r", nonce="n3", algorithm=SHA-3, qop=auth, Negotiate'),
    ]
    found = digest.challenge(fields)
    assert found is not None
    assert (found.nonce, found.algorithm, found.session, found.qop, found.realm) == (
        "n2",
        "SHA-256",
        True,
        "auth",
        'q"r',
    )
    value = found.prove("ann", "secret", "GET", "/", b"")
    assert 'realm="q\\"r"' in value
    assert "algorithm=SHA-256-sess" in value
    assert "nc=00000001" in value
    assert "nc=00000002" in found.prove("ann", "secret", "GET", "/", b"")


def test_a_challenge_that_cannot_be_met_is_none() -> None:
    for value in (
        "",
        "Basic realm=x",
        "Digest",
        'Digest realm="r"',
        'Digest nonce="n", qop="token"',
        "Digest nonce=," * 999,
    ):
        assert digest.challenge([("www-authenticate", value)]) is None, value


def test_the_digest_of_the_standards_example(monkeypatch: pytest.MonkeyPatch) -> None:
    """RFC 7616 §3.9.1."""
    cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
    monkeypatch.setattr(digest.secrets, "token_hex", lambda _: cnonce)
    nonce = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"
    for algorithm, wanted in (
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ):
        field = f'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={algorithm}, nonce="{nonce}"'
        found = digest.challenge([("www-authenticate", field)])
        assert found is not None
        value = found.prove("Mufasa", "Circle of Life", "GET", "/dir/index.html", b"")
        assert f'response="{wanted}"' in value
