"""An operator's words on the command line: what fails for good is decided on by somebody, with a name and a reason."""

from __future__ import annotations

import json

import pytest
from shop import DECLINED, ORDER, Shop
from stagedoor.cli import main
from stagedoor.demo.processes import until


def suspended(shop: Shop) -> str:
    """An order whose stock cannot be released."""
    shop.services.fault("inventory", do="fail", method="DELETE")
    shop.open()
    _, _, accepted = shop.ask("POST", "/v1/orders", DECLINED, prefer="respond-async")
    order: str = accepted["id"]
    until(lambda: shop.execution(order)["status"] == "suspended", "the incident")
    return order


def say(shop: Shop, *words: str) -> int:
    assert shop.gateway is not None
    return main(["executions", *words, "--admin", shop.gateway.admin])


@pytest.mark.parametrize(
    ("words", "ends"),
    [
        (["retry"], "compensated"),
        (["edit", "--arguments", '{"orderId": "another"}'], "compensated"),
        (["skip"], "skipped"),
        (["done"], "done"),
    ],
)
def test_an_incident_is_decided_with_a_name_and_a_reason(words: list[str], ends: str, shop: Shop) -> None:
    order = suspended(shop)
    shop.services.clear()
    assert say(shop, words[0], order, *words[1:], "--reason", "looked at it", "--by", "ann") == 0
    ended = shop.ended(order)
    assert ended["error"]["compensation"]["entries"][0]["status"] == ends
    [incident] = ended["incidents"]
    said = incident["resolved"]
    assert (said["action"], said["by"], said["reason"]) == (words[0], "ann", "looked at it")


def test_an_execution_is_cancelled_and_undone(shop: Shop) -> None:
    shop.services.fault("shipping", do="late", method="POST", seconds=2)
    shop.open()
    _, _, accepted = shop.ask("POST", "/v1/orders", ORDER, prefer="respond-async")
    order = accepted["id"]
    until(lambda: "charge" in json.dumps(shop.execution(order)["timeline"]), "a charge")
    assert say(shop, "cancel", order, "--reason", "not wanted any more") == 0
    assert shop.ended(order)["status"] == "cancelled"


def test_what_cannot_be_decided_says_why(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    order = suspended(shop)
    for words, says in (
        (["retry", "none", "--reason", "x"], "there is no such execution"),
        (["retry", order, "--reason", "x", "--incident", "/do/9"], "the incident is not open"),
        (["edit", order, "--reason", "x", "--arguments", "{"], "--arguments is not JSON"),
        (["edit", order, "--reason", "x", "--arguments", "@nowhere"], "nowhere: No such file"),
    ):
        assert say(shop, *words) == 1
        assert says in capsys.readouterr().err
    assert say(shop, "skip", order, "--reason", "x") == 0
    shop.ended(order)
    capsys.readouterr()
    assert say(shop, "skip", order, "--reason", "x") == 1
    assert "has no open incident" in capsys.readouterr().err
