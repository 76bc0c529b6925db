"""One gateway with a route for each way to configure the translation, before the example's service."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from asked import EXAMPLE, Asked, stock
from connectrpc.client import ConnectClientSync
from connectrpc.compat import google_protobuf_binary_codec, google_protobuf_json_codec
from connectrpc.compression.gzip import GzipCompression
from pyqwest import HTTPVersion, SyncClient, SyncHTTPTransport
from running import Gateway


def config(port: int) -> str:
    text = (EXAMPLE / "stagedoor.yaml").read_text()
    ports = ("127.0.0.1:8080", "127.0.0.1:0"), ("127.0.0.1:9901", "127.0.0.1:0"), (":50051", f":{port}")
    for written, real in ports:
        assert written in text
        text = text.replace(written, real)
    text = text.replace("[stock.proto]", f'[stock.proto], import_paths: ["{EXAMPLE}"]')
    text = text.replace("access_log: {}", "access_log: {path: access.log}")
    described = f'descriptors: {{proto: [stock.proto], import_paths: ["{EXAMPLE}"]}}'
    variants = {
        "bare": ("get: [stock.v1.Catalogue/GetItem], require_version: true", "catalogue", ""),
        "small": (f"{described}, message_size: 1KiB", "catalogue", ""),
        "named": (f"{described}, json: {{defaults: true, names: original, unknown_fields: ignore}}", "catalogue", ""),
        "keyed": (described, "catalogue", "authenticate: {any: [api_key]}"),
        "gone": (described, "gone", ""),
    }
    for name, (options, cluster, policies) in variants.items():
        text += f"""
  {name}:
    match: {{path: "/{name}/stock.v1.Catalogue/{{method}}"}}
    policies: {{translate: {{connect: {{{options}}}}}, {policies}}}
    target: {{cluster: {cluster}, path: "/stock.v1.Catalogue/{{method}}"}}
"""
    text = text.replace("\npolicies:", '\n  gone: {endpoints: ["http://127.0.0.1:1"], protocol: h2c}\npolicies:', 1)
    return text + '\nconsumers: {demo: {api_keys: ["demo-key"]}}\n'


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Asked, Gateway]]:
    service = Asked()
    server, port = stock.serve(service)
    folder = tmp_path_factory.mktemp("door")
    (folder / "stagedoor.yaml").write_text(config(port))
    gateway = Gateway(folder)
    assert gateway.addresses, gateway.log
    yield service, gateway
    gateway.kill()
    server.stop(None).wait()


@pytest.fixture
def service(shared: tuple[Asked, Gateway]) -> Asked:
    shared[0].forget()
    return shared[0]


@pytest.fixture
def door(shared: tuple[Asked, Gateway]) -> Gateway:
    return shared[1]


Dial = Callable[..., ConnectClientSync]


@pytest.fixture
def dial(door: Gateway) -> Dial:
    """A client; ``prefix`` chooses the route."""

    def dial(
        prefix: str = "", *, json: bool = False, http2: bool = False, gzip: bool = False, accept: bool = False
    ) -> ConnectClientSync:
        version = HTTPVersion.HTTP2 if http2 else HTTPVersion.HTTP1
        return ConnectClientSync(
            f"http://{door.addresses['listeners']['public']}{prefix}",
            codec=google_protobuf_json_codec() if json else google_protobuf_binary_codec(),
            send_compression=GzipCompression() if gzip else None,
            accept_compression=[GzipCompression()] if accept else [],
            http_client=SyncClient(SyncHTTPTransport(http_version=version)),
        )

    return dial
