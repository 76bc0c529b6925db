"""The example's service with what tests want to know of it."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
from google.protobuf.any_pb2 import Any as Packed
from google.rpc.status_pb2 import Status

EXAMPLE = Path(__file__).parents[2] / "examples/connect"
sys.path.insert(0, str(EXAMPLE))

import connect_stock as stock  # noqa: E402
from connect_stock import messages, services  # noqa: E402

__all__ = ["EXAMPLE", "Asked", "messages", "services", "stock"]


class Asked(stock.Catalogue):
    """Certain items are asked for to see certain things happen."""

    def __init__(self) -> None:
        super().__init__()
        self.forget()

    def forget(self) -> None:
        self.metadata: list[dict[str, str]] = []
        self.remaining: list[float | None] = []
        self.cancelled = threading.Event()

    def _note(self, context: grpc.ServicerContext) -> None:
        self.metadata.append({key: str(value) for key, value in context.invocation_metadata()})
        self.remaining.append(context.time_remaining())

    def GetItem(self, request: Any, context: grpc.ServicerContext) -> Any:
        self._note(context)
        context.set_trailing_metadata((("x-after", "2"), ("x-binary-bin", b"\x00\xff")))
        match request.sku:
            case "gone":
                gone = messages.OutOfStock(sku="gone")
                gone.back_at.FromSeconds(1)
                details = Packed()
                details.Pack(gone)
                status = Status(code=5, message="100 % gone: 'ä'", details=[details])
                context.set_trailing_metadata((("grpc-status-details-bin", status.SerializeToString()),))
                context.abort(grpc.StatusCode.NOT_FOUND, status.message)
            case "slow":
                ended = threading.Event()
                context.add_callback(lambda: (self.cancelled.set(), ended.set()))
                ended.wait(60)
            case "packed":
                context.set_compression(grpc.Compression.Gzip)
                return messages.Item(sku="packed", note="x" * 10_000)
            case sku if sku.startswith("code "):
                [code] = [code for code in grpc.StatusCode if code.value[0] == int(sku.removeprefix("code "))]
                context.abort(code, "as you wish")
        return super().GetItem(request, context)

    def ListItems(self, request: Any, context: grpc.ServicerContext) -> Iterator[Any]:
        self._note(context)
        if request.count == 77:
            context.set_compression(grpc.Compression.Gzip)
        context.send_initial_metadata((("x-before", "1"),))
        context.set_trailing_metadata((("x-after", "2"),))
        ended = threading.Event()
        context.add_callback(lambda: (self.cancelled.set(), ended.set()))
        yield from super().ListItems(request, context)
        if request.count == 13:
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "no more")
        if request.count == 66:
            ended.wait(60)
