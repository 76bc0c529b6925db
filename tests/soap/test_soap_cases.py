"""Operations of several WSDLs: what a service is sent and what a client gets, with two witnesses: libxml2's validator
of XML Schema, and the envelopes of another client (zeep)."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import yaml
import zeep
from lxml import etree
from running import Gateway

HERE = Path(__file__).parent
CASES = yaml.safe_load((HERE / "cases.yaml").read_text())
ENVELOPE = {
    "1.1": "http://schemas.xmlsoap.org/soap/envelope/",
    "1.2": "http://www.w3.org/2003/05/soap-envelope",
}
XS = "{http://www.w3.org/2001/XMLSchema}"


@dataclass
class Service:
    """Answers as a case says, which it knows by a header."""

    asked: dict[int, tuple[str, dict[str, str], bytes]] = field(default_factory=dict)

    def __enter__(self) -> Service:
        service = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                content = self.rfile.read(int(self.headers["content-length"]))
                index = int(self.headers["x-case"])
                headers = {name.lower(): value for name, value in self.headers.items()}
                service.asked[index] = (self.path, headers, content)
                kind = self.headers["content-type"].partition(";")[0]
                answer = CASES[index].get("answer", "")
                namespace = ENVELOPE["1.1" if kind == "text/xml" else "1.2"]
                text = f'<?xml version="1.0"?><e:Envelope xmlns:e="{namespace}"><e:Body>{answer}</e:Body></e:Envelope>'
                sent = text.encode() if answer else b""
                self.send_response(200)
                self.send_header("content-type", kind)
                self.send_header("content-length", str(len(sent)))
                self.end_headers()
                self.wfile.write(sent)

            def log_message(self, *_: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        Thread(target=self.server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.server.shutdown()


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Gateway, Service, Path]]:
    folder = tmp_path_factory.mktemp("soap")
    shutil.copytree(HERE / "shapes", folder, dirs_exist_ok=True)
    with Service() as service:
        routes = {
            f"case{index}": {
                "match": {"path": f"/{index}", "methods": ["POST"]},
                "policies": {"translate": {"soap": case["soap"]}},
                "target": {"cluster": "service"},
            }
            for index, case in enumerate(CASES)
        }
        cluster = {"endpoints": [f"http://127.0.0.1:{service.server.server_port}"]}
        listeners = {"public": {"bind": "127.0.0.1:0"}}
        settings = {"listeners": listeners, "admin": {"bind": "127.0.0.1:0"}, "clusters": {"service": cluster}}
        (folder / "stagedoor.yaml").write_text(json.dumps(settings | {"routes": routes}))
        gateway = Gateway(folder)
        yield gateway, service, folder
        gateway.kill()


@pytest.mark.parametrize("index", range(len(CASES)), ids=[case["so"] for case in CASES])
def test_a_message_becomes_what_its_case_says(running: tuple[Gateway, Service, Path], index: int) -> None:
    gateway, service, folder = running
    case = CASES[index]
    answer = gateway.request("POST", f"/{index}", case["request"], {"x-case": str(index)})
    if "wrong" in case:
        assert answer.status == 400, answer.body
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json["errors"][0]["pointer"] == case["wrong"], answer.json
        assert index not in service.asked, "what is refused is not sent"
        return
    assert answer.status == case.get("status", 200), answer.body
    path, headers, content = service.asked[index]
    assert path == case.get("path", path)
    for name, value in case.get("headers", {}).items():
        assert headers.get(name) == value, name
    envelope = etree.fromstring(content)
    body = envelope[-1]
    assert etree.QName(body).localname == "Body"
    if "body" in case:
        same(body[0], etree.fromstring(case["body"]))
    if case["soap"]["wsdl"] != "ledger.wsdl":
        schema(folder, case["soap"]["wsdl"]).assertValid(etree.fromstring(etree.tostring(body[0])))
    if "zeep" in case:
        client = zeep.Client(str(folder / case["soap"]["wsdl"]))
        name = case["soap"].get("operation", "GetForecast")
        proxy = client.bind(next(iter(client.wsdl.services)), case["zeep"]["port"])
        same(body, client.create_message(proxy, name, **case["zeep"]["args"])[-1])
    if "expect" in case:
        assert answer.headers["content-type"] == "application/json"
        assert answer.json == case["expect"]
        assert case.get("raw", "") in answer.body.decode()


def same(one: Any, other: Any) -> None:
    assert one.tag == other.tag
    assert typed(one) == typed(other)
    assert (one.text or "").strip() == (other.text or "").strip(), one.tag
    assert [child.tag for child in one] == [child.tag for child in other], one.tag
    for mine, theirs in zip(one, other, strict=True):
        same(mine, theirs)


def typed(element: Any) -> dict[str, str]:
    """Attributes, the value of ``xsi:type`` with its namespace."""

    def value(name: str, text: str) -> str:
        prefix, separator, local = text.rpartition(":")
        return f"{element.nsmap[prefix]} {local}" if name.endswith("}type") and separator else text

    return {name: value(name, text) for name, text in element.attrib.items()}


def schema(folder: Path, wsdl: str) -> etree.XMLSchema:
    """All schemas of a WSDL as one."""
    imports = ""
    for file in [folder / wsdl, *folder.glob("types/*.wsdl")]:
        for number, node in enumerate(etree.parse(str(file)).iter(f"{XS}schema")):
            copy = file.parent / f"{file.stem}-{number}.xsd"
            copy.write_bytes(etree.tostring(node))
            imports += f'<import namespace="{node.get("targetNamespace")}" schemaLocation="{copy}"/>'
    imports += f'<import namespace="urn:example:booking" schemaLocation="{folder}/types/booking.xsd"/>'
    return etree.XMLSchema(etree.fromstring(f'<schema xmlns="{XS[1:-1]}">{imports}</schema>'))
