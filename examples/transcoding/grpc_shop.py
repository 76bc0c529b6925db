"""A shop that speaks gRPC: ``shop.v1.Shop``, its types made of ``shop.proto``."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc

sys.path.insert(0, str(Path(__file__).parent))
protos, services = grpc.protos_and_services("shop.proto")


class Shop(services.ShopServicer):  # type: ignore[name-defined, misc]
    def __init__(self) -> None:
        self.items = {
            "items/mug": protos.Item(name="items/mug", title="Mug", price_cents=900),
            "items/pot": protos.Item(name="items/pot", title="Pot", price_cents=4200),
        }

    def _find(self, name: str, context: grpc.ServicerContext) -> Any:
        if name not in self.items:
            context.abort(grpc.StatusCode.NOT_FOUND, f"there is no {name}")
        return self.items[name]

    def Get(self, request: Any, context: grpc.ServicerContext) -> Any:
        return self._find(request.name, context)

    def List(self, request: Any, context: grpc.ServicerContext) -> Any:
        most = request.max_price_cents or sys.maxsize
        return protos.Items(items=[item for item in self.items.values() if item.price_cents <= most])

    def Update(self, request: Any, context: grpc.ServicerContext) -> Any:
        item = self._find(request.name, context)
        item.price_cents = request.price_cents
        item.changed.GetCurrentTime()
        return item

    def Prices(self, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        item = self._find(request.name, context)
        for step in range(request.changes):
            yield protos.Item(name=item.name, price_cents=item.price_cents + step)


def serve(address: str) -> tuple[grpc.Server, int]:
    server = grpc.server(ThreadPoolExecutor(8))
    services.add_ShopServicer_to_server(Shop(), server)
    port = server.add_insecure_port(address)
    server.start()
    return server, port


if __name__ == "__main__":
    serve("127.0.0.1:50051")[0].wait_for_termination()
