"""The eight services of the shop. An order and a user are named by their callers, with the id of the execution."""

from __future__ import annotations

from typing import Any

from stagedoor.demo.fault import Fault
from stagedoor.demo.service import Refusal, Service

Json = Any

PRICES = {"mug": 1250, "lamp": 4900, "chair": 12900}
"""In cents."""
_DISTURBED = {"slow": Fault("late", seconds=2), "lost-answer": Fault("drop")}


def _reserved(body: Json) -> Json:
    sku, quantity = body.get("sku"), body.get("quantity")
    count = quantity if isinstance(quantity, int) else 1
    return {"sku": sku, "quantity": count, "amount": PRICES.get(str(sku), 1000) * count}


SERVICES = {
    service.name: service
    for service in (
        Service(
            "inventory",
            "reservations",
            "orderId",
            ("reservationId", "R"),
            special={"sku": {"sold-out": Refusal(409, "Out of stock", "There is no sold-out left."), **_DISTURBED}},
            extra=_reserved,
            items={sku: {"sku": sku, "price": price} for sku, price in PRICES.items()},
        ),
        Service(
            "payment",
            "charges",
            "orderId",
            ("chargeId", "C"),
            special={"card": {"declined": Refusal(402, "Card declined", "The bank said no to this card."), **_DISTURBED}},
            extra=lambda body: {"amount": body.get("amount")},
        ),
        Service("shipping", "shipments", "orderId", ("tracking", "S"), extra=lambda body: {"sku": body.get("sku")}),
        Service("notification", "messages", "orderId", ("messageId", "M"), extra=lambda body: {"text": body.get("text")}),
        Service(
            "identity",
            "identities",
            "userId",
            ("identityId", "I"),
            special={"email": {"taken@example.com": Refusal(409, "Address taken", "This address has an account.")}},
            extra=lambda body: {"email": body.get("email")},
        ),
        Service("profile", "profiles", "userId", ("profileId", "P"), extra=lambda body: {"name": body.get("name")}),
        Service(
            "roles",
            "grants",
            "userId",
            ("grantId", "G"),
            special={"role": {"root": Refusal(403, "Role not allowed", "Nobody becomes root by signing up.")}},
            extra=lambda body: {"role": body.get("role")},
        ),
        Service("mail", "letters", "userId", ("letterId", "L"), extra=lambda body: {"to": body.get("to")}),
    )
}
