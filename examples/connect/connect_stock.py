"""``stock.v1.Catalogue`` in gRPC: ``python connect_stock.py [ADDRESS]`` serves it. It knows nothing of Connect."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import grpc

sys.path.insert(0, str(Path(__file__).parent))

messages, services = grpc.protos_and_services("stock.proto")


class Catalogue(services.CatalogueServicer):  # type: ignore[name-defined, misc]
    def __init__(self) -> None:
        self.items: dict[str, Any] = {"mug": messages.Item(sku="mug", price=1250)}

    def GetItem(self, request: Any, context: grpc.ServicerContext) -> Any:
        if request.sku not in self.items:
            context.abort(grpc.StatusCode.NOT_FOUND, f"there is no item '{request.sku}'")
        # A client that asks with GET may keep the answer for so long.
        context.send_initial_metadata((("cache-control", "max-age=60"),))
        return self.items[request.sku]

    def AddItem(self, request: Any, context: grpc.ServicerContext) -> Any:
        if request.price < 0:
            context.abort(grpc.StatusCode.INVALID_ARGUMENT, "an item has a price")
        self.items[request.sku] = request
        return request

    def ListItems(self, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        for number in range(request.count):
            yield messages.Item(sku=f"item-{number}", price=100 * number)
            time.sleep(0.01)

    def AddItems(self, requests: Iterator[Any], context: grpc.ServicerContext) -> Any:
        prices = [item.price for item in requests]
        return messages.AddItemsResponse(count=len(prices), price=sum(prices))

    def FindItems(self, requests: Iterator[Any], context: grpc.ServicerContext) -> Iterator[Any]:
        for request in requests:
            if request.sku in self.items:
                yield self.items[request.sku]


def serve(servicer: Any, address: str = "127.0.0.1:0") -> tuple[grpc.Server, int]:
    """A running server and its port."""
    server = grpc.server(ThreadPoolExecutor(16), options=[("grpc.max_receive_message_length", -1)])
    services.add_CatalogueServicer_to_server(servicer, server)
    port = server.add_insecure_port(address)
    server.start()
    return server, port


if __name__ == "__main__":
    running, _ = serve(Catalogue(), sys.argv[1] if len(sys.argv) > 1 else "127.0.0.1:50051")
    running.wait_for_termination()
