"""The guided tour through the shop: each step says what it does, does it, shows what came, and checks it."""

from __future__ import annotations

import json
from typing import Any

from rich.text import Text

from stagedoor.cli import timeline
from stagedoor.cli.output import say
from stagedoor.demo.processes import Gateway, Services, request, until

KEY = "web-demo-key"
Json = Any


class Tour:
    def __init__(self, services: Services, gateway: Gateway) -> None:
        self._services, self._gateway = services, gateway
        self._steps = 0
        self._wrong = 0

    def walk(self) -> bool:
        """True if every step did what it says."""
        self._order()
        self._declined()
        self._registration()
        self._refused()
        self._proxied()
        if self._wrong:
            say(Text(f"\n{self._wrong} checks failed. The gateway said:\n{self._gateway.said()}", style="bold red"))
        else:
            say(Text("\nEvery step did what it says.", style="bold green"))
        return not self._wrong

    def _order(self) -> None:
        self._step("An order: four services, one answer")
        order = {"sku": "mug", "quantity": 2, "card": "4242"}
        status, headers, made = self._send("POST", "/v1/orders", order)
        self._check(status == 201 and made.get("amount") == 2500, "the order is complete")
        shown = self._show("shop/order", "completed")
        self._check(shown["id"] == made.get("orderId"), "its execution has the order's number")
        status, _, kept = self._send("GET", headers.get("location", "/none"))
        self._check(status == 200 and kept.get("output") == made, "the same answer waits at its Location")

    def _declined(self) -> None:
        self._step("An order whose card is declined: what was done before is undone")
        status, _, problem = self._send("POST", "/v1/orders", {"sku": "lamp", "quantity": 1, "card": "declined"})
        self._check(
            status == 402 and problem.get("title") == "Card declined", "the client gets the payment's own error"
        )
        self._check(problem.get("compensation", {}).get("status") == "complete", "and is told that all is undone")
        shown = self._show("shop/order", "faulted")
        order = shown["id"]
        self._check(self._things("inventory").get(order) == "gone", "the stock is released, by inventory's own ledger")
        self._check(order not in self._things("payment"), "nothing was charged")
        self._check(order not in self._things("shipping"), "nothing was shipped")

    def _registration(self) -> None:
        self._step("A registration: identity, profile, role, welcome letter")
        user = {"email": "ada@example.com", "name": "Ada"}
        status, _, made = self._send("POST", "/v1/registrations", user)
        self._check(status == 201 and made.get("email") == user["email"], "the customer is registered")
        self._show("shop/registration", "completed")
        status, _, profile = self._send("GET", f"/v1/profiles/{made.get('userId')}")
        self._check(status == 200 and profile.get("name") == "Ada", "the profile is there")

    def _refused(self) -> None:
        self._step("A registration that asks for too much: undone step by step, the last one first")
        user = {"email": "eve@example.com", "name": "Eve", "role": "root"}
        status, _, problem = self._send("POST", "/v1/registrations", user)
        self._check(status == 403 and problem.get("title") == "Role not allowed", "roles says no")
        id = self._show("shop/registration", "faulted")["id"]
        self._check(self._things("profile").get(id) == "gone", "the profile is removed")
        self._check(self._things("identity").get(id) == "gone", "and then the identity")
        self._check(id not in self._things("mail"), "no letter was sent")

    def _proxied(self) -> None:
        self._step("The same services proxied: a key, and five requests in ten seconds")
        status, _, item = self._send("GET", "/v1/items/mug")
        self._check(status == 200 and item.get("sku") == "mug", "with a key: the item")
        status, headers, _ = self._send("GET", "/v1/items/mug", key=None)
        self._check(status == 401 and "www-authenticate" in headers, "without a key: 401")
        statuses = [self._request("GET", "/v1/items")[0] for _ in range(5)]
        self._check(statuses == [200] * 5, "five requests are within the limit")
        status, headers, _ = self._send("GET", "/v1/items")
        self._check(
            status == 429 and "retry-after" in headers, f"the sixth: retry after {headers.get('retry-after')} s"
        )

    # Saying and asking.

    def _step(self, title: str) -> None:
        self._steps += 1
        say(Text(f"\n{self._steps}. {title}", style="bold cyan"))

    def _check(self, holds: bool, what: str) -> None:
        self._wrong += not holds
        say(Text.assemble(("   ✓ ", "green") if holds else ("   ✗ ", "bold red"), what))

    def _send(
        self, method: str, path: str, body: Json = None, key: str | None = KEY
    ) -> tuple[int, dict[str, str], Json]:
        """A request that is shown."""
        sent = "" if body is None else f" {json.dumps(body)}"
        say(Text.assemble(("   → ", "dim"), (f"{method} {path}", "bold"), sent, "" if key else "   (no key)"))
        status, headers, answer = self._request(method, path, body, key)
        text = json.dumps(answer) if isinstance(answer, dict | list) else str(answer)
        say(Text.assemble(("   ← ", "dim"), (str(status), "green" if status < 400 else "red"), f" {text}"))
        # What a check reads from an answer of the wrong shape is missing, and the check fails.
        return status, headers, answer if isinstance(answer, dict) else {}

    def _request(self, method: str, path: str, body: Json = None, key: str | None = KEY) -> tuple[int, Any, Json]:
        return request(self._gateway.address, method, path, body, {"x-api-key": key} if key else None)

    def _show(self, workflow: str, status: str) -> Json:
        """The newest execution of that kind, shown as ``stagedoor executions show`` shows it."""
        path = f"/executions?workflow={workflow}&status={status}&limit=1"

        def newest() -> Json:
            # The client's answer does not wait for the commit of the end.
            return request(self._gateway.admin, "GET", path)[2]["executions"]

        found = until(newest, f"the end of a {workflow}")
        shown = request(self._gateway.admin, "GET", f"/executions/{found[0]['id']}")[2]
        for line in timeline.lines(shown):
            say(Text("     ") + line)
        return shown

    def _things(self, service: str) -> Json:
        return self._services.ledger(service)["things"]
