"""Faults, and answers that are none: what a client is told of them; and who is said to ask."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import shutil
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import yaml
from lxml import etree
from running import Gateway

HERE = Path(__file__).parent
ANSWERS = yaml.safe_load((HERE / "answers.yaml").read_text())
ENVELOPE = {
    "1.1": "http://schemas.xmlsoap.org/soap/envelope/",
    "1.2": "http://www.w3.org/2003/05/soap-envelope",
}
WSSE = "{http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-secext-1.0.xsd}"
WSU = "{http://docs.oasis-open.org/wss/2004/01/oasis-200401-wss-wssecurity-utility-1.0.xsd}"
PASSWORD = "s3cret & <word>"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    asked: list[bytes] = []

    def do_POST(self) -> None:
        self.asked.append(self.rfile.read(int(self.headers["content-length"])))
        case = ANSWERS[int(self.headers["x-case"])]
        body = case.get("body", "") * case.get("repeat", 1)
        body = "<a>" * case.get("nest", 0) + body + "</a>" * case.get("nest", 0)
        namespace = ENVELOPE[case.get("version", "1.1")]
        text = f'<e:Envelope xmlns:e="{namespace}"><e:Body>{body}</e:Body></e:Envelope>'
        content = case.get("text", text).encode(case.get("encoding", "utf-8"))
        self.send_response(case["http"])
        self.send_header("content-type", case.get("type", "text/xml; charset=utf-8"))
        if case.get("coding") == "gzip":
            self.send_header("content-encoding", "gzip")
            content = gzip.compress(content)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    folder = tmp_path_factory.mktemp("answers")
    shutil.copytree(HERE / "shapes", folder, dirs_exist_ok=True)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Thread(target=server.serve_forever, daemon=True).start()
    soap = {
        "wsdl": "booking.wsdl",
        "operation": "Book",
        "input": '${ {"@channel": "web", guest: {name: (.query.name // "A")}, room: 1, from: "2026-03-01", nights: 1,'
        ' payment: {"@xsi:type": "Card", number: "1", amount: {"#text": 1, "@currency": "CHF"}}, arrival: null} }',
        "faults": {"Server": 500, "Refused": 409, "Unknown": 404},
        "max_size": "16KiB",
    }
    token = {"username": "me & you", "password": "${env:PASSWORD}", "digest": True}
    header = '<?xml version="1.0"?><t:Tenant xmlns:t="urn:example:booking:service">${env:TENANT}</t:Tenant>'
    routes = {
        "old": soap | {"version": "1.1", "faults": {"Refused": 409, "Unknown": 404}},
        "new": soap | {"version": "1.2"},
        "digest": soap | {"username_token": token, "headers": [header]},
        "text": soap | {"username_token": token | {"digest": False}},
    }
    settings = {
        "listeners": {"public": {"bind": "127.0.0.1:0"}},
        "admin": {"bind": "127.0.0.1:0"},
        "clusters": {"service": {"endpoints": [f"http://127.0.0.1:{server.server_port}"]}},
        "routes": {
            name: {
                "match": {"path": f"/{name}", "methods": ["GET"]},
                "policies": {"translate": {"soap": policy}, "access_log": {"path": "stdout"}},
                "target": {"cluster": "service"},
            }
            for name, policy in routes.items()
        },
    }
    (folder / "stagedoor.yaml").write_text(json.dumps(settings))
    gateway = Gateway(folder, environment={"PASSWORD": PASSWORD, "TENANT": "s3cret-tenant"})
    yield gateway
    gateway.kill()
    server.shutdown()


@pytest.mark.parametrize("index", range(len(ANSWERS)), ids=[case["so"] for case in ANSWERS])
def test_an_answer_is_told_as_its_case_says(gateway: Gateway, index: int) -> None:
    case = ANSWERS[index]
    path = "/new" if case.get("version") == "1.2" else "/old"
    answer = gateway.request("GET", path, headers={"x-case": str(index)})
    assert answer.status == case["status"], answer.body
    assert answer.headers["content-type"] == (
        "application/json" if answer.status == 200 else "application/problem+json"
    )
    expected = case.get("expect", {})
    assert {name: answer.json.get(name) for name in expected} == expected


def test_who_asks_is_said_in_the_header_and_nowhere_else(gateway: Gateway) -> None:
    index = str(next(index for index, case in enumerate(ANSWERS) if case["status"] == 200))
    for path in ("/digest", "/digest", "/text"):
        assert gateway.request("GET", path, headers={"x-case": index}).status == 200
    first, second, plain = (etree.fromstring(content) for content in Handler.asked[-3:])
    nonces = set()
    for envelope in (first, second):
        security, tenant = envelope[0]
        assert tenant.text == "s3cret-tenant"
        token = security[0]
        assert token.findtext(f"{WSSE}Username") == "me & you"
        nonce = base64.b64decode(token.findtext(f"{WSSE}Nonce"))
        nonces.add(nonce)
        digest = hashlib.sha1(nonce + token.findtext(f"{WSU}Created").encode() + PASSWORD.encode()).digest()
        assert token.findtext(f"{WSSE}Password") == base64.b64encode(digest).decode()
    assert len(nonces) == 2, "a nonce is used once"
    assert plain[0][0][0].findtext(f"{WSSE}Password") == PASSWORD
    assert "s3cret" not in gateway.log


def test_what_the_request_gives_goes_into_the_input(gateway: Gateway) -> None:
    assert gateway.request("GET", "/old?name=B%20%26%20C", headers={"x-case": "0"}).status == 400
    assert b"<n0:name>B &amp; C</n0:name>" in Handler.asked[-1]
