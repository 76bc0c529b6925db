"""The eight services of the shop. An order and a user are named by their callers, with the id of the execution."""

from __future__ import annotations

from typing import Any

from stagedoor.demo.fault import Fault
from stagedoor.demo.service import Refusal, Service

Json = Any

PRICES = {"mug": 1250, "lamp": 4900, "chair": 12900}
"""In cents."""
_DISTURBED = {"slow": Fault("late", seconds=2), "lost-answer": Fault("drop")}


def _amount(body: Json) -> Json:
    quantity = body["quantity"]
    return {"amount": PRICES.get(str(body["sku"]), 1000) * (quantity if isinstance(quantity, int) else 1)}


SERVICES = {
    service.name: service
    for service in (
        Service(
            "inventory",
            "reservations",
            "orderId",
            ("reservationId", "R"),
            needs=("sku", "quantity"),
            shows=("sku", "quantity"),
            special={"sku": {"sold-out": Refusal(409, "Out of stock", "There is none left."), **_DISTURBED}},
            extra=_amount,
            items={sku: {"sku": sku, "price": price} for sku, price in PRICES.items()},
        ),
        Service(
            "payment",
            "charges",
            "orderId",
            ("chargeId", "C"),
            needs=("card", "amount"),
            shows=("amount",),
            special={"card": {"declined": Refusal(402, "Card declined", "The bank said no."), **_DISTURBED}},
        ),
        Service("shipping", "shipments", "orderId", ("tracking", "S"), needs=("sku",), shows=("sku",)),
        Service("notification", "messages", "orderId", ("messageId", "M"), needs=("text",), shows=("text",)),
        Service(
            "identity",
            "identities",
            "userId",
            ("identityId", "I"),
            needs=("email",),
            shows=("email",),
            special={"email": {"taken@example.com": Refusal(409, "Address taken", "This address has an account.")}},
        ),
        Service("profile", "profiles", "userId", ("profileId", "P"), needs=("name",), shows=("name",)),
        Service(
            "roles",
            "grants",
            "userId",
            ("grantId", "G"),
            needs=("role",),
            shows=("role",),
            special={"role": {"root": Refusal(403, "Role not allowed", "Nobody becomes root by signing up.")}},
        ),
        Service("mail", "letters", "userId", ("letterId", "L"), needs=("to",), shows=("to",)),
    )
}
