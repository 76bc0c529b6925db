"""Against real services of SOAP 1.1 and 1.2 (spyne), by the WSDLs that they publish themselves."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
from running import Gateway
from spyne import (
    Application,
    Array,
    Boolean,
    ByteArray,
    ComplexModel,
    Date,
    DateTime,
    Decimal,
    Double,
    Enum,
    Fault,
    Integer,
    ServiceBase,
    Unicode,
    XmlAttribute,
    rpc,
)
from spyne.protocol.soap import Soap11, Soap12
from spyne.server.wsgi import WsgiApplication

NAMESPACE = "urn:example:shop"


class Line(ComplexModel):
    __namespace__ = NAMESPACE
    sku = Unicode(min_occurs=1, nillable=False)
    amount = Integer(min_occurs=1)
    price = Decimal
    colour = Enum("red", "green", type_name="Colour")


class Order(ComplexModel):
    __namespace__ = NAMESPACE
    channel = XmlAttribute(Unicode)
    id = Integer(min_occurs=1)
    lines = Line.customize(max_occurs="unbounded")
    tags = Array(Unicode)
    at = DateTime
    day = Date
    paid = Boolean
    scan = ByteArray
    weight = Double


class Shop(ServiceBase):
    @rpc(Order, _returns=Order)
    def echo(ctx, order):
        return order

    @rpc(Integer, Integer, _returns=Integer)
    def add(ctx, a, b):
        return a + b

    @rpc(Unicode)
    def fail(ctx, code):
        raise Fault(code, "it failed", detail={"why": {"code": "7"}})


class Quiet(WSGIRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module", params=["1.1", "1.2"])
def gateway(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    protocol = Soap11 if request.param == "1.1" else Soap12
    application = Application([Shop], NAMESPACE, in_protocol=protocol(validator="lxml"), out_protocol=protocol())
    server = make_server("127.0.0.1", 0, WsgiApplication(application), handler_class=Quiet)
    Thread(target=server.serve_forever, daemon=True).start()
    folder: Path = tmp_path_factory.mktemp("services")
    with urllib.request.urlopen(f"http://127.0.0.1:{server.server_port}/?wsdl") as answer:
        (folder / "shop.wsdl").write_bytes(answer.read())

    def route(path: str, method: str, operation: str) -> dict[str, Any]:
        return {
            "match": {"path": path, "methods": [method]},
            "policies": {"translate": {"soap": {"wsdl": "shop.wsdl", "operation": operation}}},
            "target": {"cluster": "shop"},
        }

    routes = {
        "echo": route("/orders/{id}", "PUT", "echo"),
        "add": route("/sums/{a}", "GET", "add"),
        "fail": route("/failures", "GET", "fail"),
    }
    routes["echo"]["policies"]["translate"]["soap"]["input"] = "${ {order: (.body + {id: .params.id})} }"
    settings = {
        "listeners": {"public": {"bind": "127.0.0.1:0"}},
        "admin": {"bind": "127.0.0.1:0"},
        "clusters": {"shop": {"endpoints": [f"http://127.0.0.1:{server.server_port}"]}},
        "routes": routes,
    }
    (folder / "stagedoor.yaml").write_text(json.dumps(settings))
    gateway = Gateway(folder)
    yield gateway
    gateway.kill()
    server.shutdown()


def test_what_is_sent_comes_back_with_its_types(gateway: Gateway) -> None:
    order = {
        "@channel": "web",
        "lines": [{"sku": "a<b&c", "amount": 2, "price": 12.5, "colour": "red"}],
        "tags": {"string": ["x", "y"]},
        "at": "2026-02-28T13:45:00+00:00",
        "day": "2026-02-28",
        "paid": True,
        "scan": "Zm9v",
        "weight": 1500.0,
    }
    answer = gateway.request("PUT", "/orders/7", order)
    assert answer.status == 200, answer.body
    assert answer.json == {"echoResult": order | {"id": 7}}


def test_parameters_of_path_and_query_are_the_input(gateway: Gateway) -> None:
    assert gateway.request("GET", "/sums/4?b=5").json == {"addResult": 9}
    assert gateway.request("GET", "/sums/4?b=x").json["errors"][0]["pointer"] == "/b"
    assert gateway.request("GET", "/sums/4?c=1").json["errors"][0]["pointer"] == "/c"


def test_faults_are_problem_details(gateway: Gateway) -> None:
    answer = gateway.request("GET", "/failures?code=Client.NoSuch")
    assert (answer.status, answer.headers["content-type"]) == (400, "application/problem+json")
    assert answer.json["detail"] == "it failed"
    assert answer.json["errors"][0]["subcodes"] == ["NoSuch"]
    assert gateway.request("GET", "/failures?code=Server").status == 502
