"""A shop as a service of GraphQL: ``python graphql_shop.py [PORT]``. Needs strawberry-graphql and uvicorn."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator
from enum import Enum
from typing import Any

import strawberry
import uvicorn
from strawberry.asgi import GraphQL
from strawberry.schema.config import StrawberryConfig
from strawberry.subscriptions import GRAPHQL_SSE_PROTOCOL, GRAPHQL_TRANSPORT_WS_PROTOCOL
from strawberry.types import Info


@strawberry.enum
class Kind(Enum):
    TEA = "tea"
    CUP = "cup"


@strawberry.type
class Price:
    amount: float
    currency: str


@strawberry.type
class Review:
    stars: int
    text: str | None


@strawberry.type
class Product:
    id: strawberry.ID
    title: str
    kind: Kind

    @strawberry.field
    def price(self) -> Price:
        return Price(amount=4.5, currency="EUR")

    @strawberry.field
    def reviews(self, first: int = 10) -> list[Review]:
        return [Review(stars=number % 5 + 1, text=None) for number in range(max(first, 0))]

    @strawberry.field
    def related(self, first: int = 3) -> list[Product]:
        return PRODUCTS[: max(first, 0)]

    @strawberry.field
    def stock(self) -> int | None:
        raise RuntimeError("the warehouse does not answer")


PRODUCTS = [
    Product(id=strawberry.ID(str(number)), title=f"{kind.value} {number}", kind=kind)
    for number, kind in enumerate([Kind.TEA, Kind.CUP] * 3, start=1)
]


@strawberry.type
class Edge:
    cursor: str
    node: Product


@strawberry.type
class Connection:
    edges: list[Edge]
    total: int


@strawberry.input
class Filter:
    kind: Kind | None = None
    text: str | None = None


@strawberry.type
class Query:
    @strawberry.field
    def product(self, id: strawberry.ID) -> Product | None:
        if id == "broken":
            raise strawberry.exceptions.StrawberryGraphQLError("no such shelf", extensions={"code": "SHELF_MISSING"})
        return next((product for product in PRODUCTS if product.id == id), None)

    @strawberry.field
    def products(self, first: int = 3, filter: Filter | None = None) -> Connection:
        found = [product for product in PRODUCTS if filter is None or filter.kind in (None, product.kind)]
        edges = [Edge(cursor=str(product.id), node=product) for product in found[: max(first, 0)]]
        return Connection(edges=edges, total=len(found))

    @strawberry.field
    def search(self, text: str, limit: int = 5) -> list[Product]:
        return [product for product in PRODUCTS if text in product.title][: max(limit, 0)]

    @strawberry.field
    def by_ids(self, ids: list[strawberry.ID]) -> list[Product]:
        return [product for product in PRODUCTS if product.id in ids]

    @strawberry.field
    def me(self, info: Info[Any, Any]) -> str | None:
        return info.context["request"].headers.get("x-consumer-id")


@strawberry.type
class Mutation:
    @strawberry.mutation
    def review(self, product: strawberry.ID, stars: int, text: str | None = None) -> Review:
        if not 1 <= stars <= 5:
            raise strawberry.exceptions.StrawberryGraphQLError("one to five", extensions={"code": "BAD_USER_INPUT"})
        return Review(stars=stars, text=text)


@strawberry.type
class Subscription:
    @strawberry.subscription
    async def prices(self, product: strawberry.ID, count: int = 3) -> AsyncGenerator[Price, None]:
        for number in range(count):
            await asyncio.sleep(0)
            yield Price(amount=float(number), currency="EUR")


def schema() -> strawberry.Schema:
    config = StrawberryConfig(batching_config={"max_operations": 10})
    return strawberry.Schema(query=Query, mutation=Mutation, subscription=Subscription, config=config)


def app() -> GraphQL[Any, Any]:
    protocols = (GRAPHQL_TRANSPORT_WS_PROTOCOL, GRAPHQL_SSE_PROTOCOL)
    return GraphQL(schema(), allow_queries_via_get=True, subscription_protocols=protocols)


if __name__ == "__main__":
    if sys.argv[1:] == ["schema"]:
        print(schema().as_str())
    else:
        port = int(sys.argv[1]) if len(sys.argv) > 1 else 9301
        uvicorn.run(app(), host="127.0.0.1", port=port, log_level="warning", ws="websockets-sansio")
