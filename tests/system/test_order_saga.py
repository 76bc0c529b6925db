"""An order through the gateway and four services: done, undone, and left to an operator."""

from __future__ import annotations

import re

from shop import DECLINED, ORDER, ORDER_SERVICES, USER, USER_SERVICES, WEB, Shop, run
from stagedoor.demo.processes import until


def undone(shop: Shop, id: str) -> None:
    states = shop.things(ORDER_SERVICES, id)
    assert states["inventory"] == "gone"
    assert not {"live"} & set(states.values())


def faulted_order(shop: Shop) -> str:
    (execution,) = until(lambda: [each for each in shop.executions() if each["status"] == "faulted"], "a faulted order")
    return str(execution["id"])


def test_an_order_reserves_charges_ships_and_notifies(shop: Shop) -> None:
    shop.open()
    status, headers, made = shop.ask("POST", "/v1/orders", ORDER)
    assert status == 201, made
    assert made["amount"] == 2500
    assert re.fullmatch(r"S-[0-9a-f]{8}", made["tracking"])
    assert shop.things(ORDER_SERVICES, made["orderId"]) == dict.fromkeys(ORDER_SERVICES, "live")
    assert headers["location"] == f"/v1/orders/{made['orderId']}"
    status, _, kept = shop.ask("GET", headers["location"])
    assert (status, kept["output"]) == (200, made)


def test_a_registration_makes_identity_profile_role_and_letter(shop: Shop) -> None:
    shop.open()
    status, _, made = shop.ask("POST", "/v1/registrations", USER)
    assert status == 201, made
    assert shop.things(USER_SERVICES, made["userId"]) == dict.fromkeys(USER_SERVICES, "live")
    status, headers, profile = shop.ask("GET", f"/v1/profiles/{made['userId']}")
    assert (status, profile["name"], headers["cache-control"]) == (200, "Ada", "private")


def test_a_role_that_is_refused_undoes_profile_and_identity(shop: Shop) -> None:
    shop.open()
    status, _, problem = shop.ask("POST", "/v1/registrations", USER | {"role": "root"})
    assert (status, problem["title"]) == (403, "Role not allowed")
    (execution,) = until(lambda: shop.executions("shop/registration"), "the execution")
    assert shop.things(USER_SERVICES, execution["id"]) == {
        "identity": "gone",
        "profile": "gone",
        "roles": None,
        "mail": None,
    }


def test_a_declined_card_gives_the_stock_back_and_ships_nothing(shop: Shop) -> None:
    shop.open()
    status, headers, problem = shop.ask("POST", "/v1/orders", DECLINED)
    assert status == 402
    assert headers["content-type"] == "application/problem+json"
    assert (problem["status"], problem["title"], problem["detail"]) == (402, "Card declined", "The bank said no.")
    assert problem["compensation"]["status"] == "complete"
    (entry,) = problem["compensation"]["entries"]
    assert (entry["task"], entry["call"], entry["status"]) == ("/do/0/reserveStock", "releaseStock", "compensated")
    order = faulted_order(shop)
    undone(shop, order)
    assert shop.things(ORDER_SERVICES, order) == {
        "inventory": "gone",
        "payment": None,
        "shipping": None,
        "notification": None,
    }


def test_undoing_begins_with_the_last_step(shop: Shop) -> None:
    shop.services.fault("notification", do="fail", status=500)
    shop.open()
    status, _, problem = shop.ask("POST", "/v1/orders", ORDER)
    assert status == 500
    calls = [entry["call"] for entry in problem["compensation"]["entries"]]
    assert calls == ["cancelShipment", "refund", "releaseStock"]
    order = faulted_order(shop)
    undone(shop, order)
    times = [
        next(entry["at"] for entry in shop.services.ledger(name)["entries"] if entry["path"].endswith(f"/{order}"))
        for name in ("shipping", "payment", "inventory")
    ]
    assert times == sorted(times)


def test_a_release_that_fails_twice_is_tried_again_with_the_same_key(shop: Shop) -> None:
    shop.services.fault("inventory", do="fail", method="DELETE", times=2)
    shop.open()
    status, _, problem = shop.ask("POST", "/v1/orders", DECLINED)
    assert status == 402
    assert problem["compensation"]["status"] == "complete"
    assert problem["compensation"]["entries"][0]["attempts"] == 3
    order = faulted_order(shop)
    undone(shop, order)
    arrivals = [each for each in shop.services.ledger("inventory")["arrivals"] if each["id"] == order]
    releases = [each for each in arrivals if each["method"] == "DELETE"]
    assert [each["fault"] for each in releases] == ["fail", "fail", None]
    assert len({each["key"] for each in releases}) == 1


def test_a_release_that_fails_for_good_waits_for_an_operator(shop: Shop) -> None:
    shop.services.fault("inventory", do="fail", method="DELETE")
    gateway = shop.open()
    status, headers, accepted = shop.ask("POST", "/v1/orders", DECLINED, prefer="respond-async")
    assert status == 202
    order = accepted["id"]
    until(lambda: shop.execution(order)["status"] == "suspended", "the incident")
    shown = run("executions", "show", order, "--admin", f"http://{gateway.admin}")
    assert shown.returncode == 0, shown.stderr
    assert "suspended" in shown.stdout
    assert "incident" in shown.stdout
    assert "Card declined" in shown.stdout
    assert "reserveStock" in shown.stdout
    (incident,) = [each for each in shop.execution(order)["incidents"] if each["resolved"] is None]

    shop.kill()
    shop.open()
    assert shop.execution(order)["status"] == "suspended", "an incident survives the process"

    shop.services.clear()
    body = {"action": "retry", "by": "an operator", "reason": "inventory works again"}
    assert shop.admin(f"/executions/{order}/incidents/{incident['id']}", "POST", body)[0] == 202
    ended = shop.ended(order)
    assert ended["status"] == "faulted"
    assert ended["error"]["title"] == "Card declined"
    undone(shop, order)
    status, _, resource = shop.ask("GET", headers["location"])
    assert (status, resource["error"]["compensation"]["status"]) == (200, "complete")


def test_an_answer_that_is_lost_is_asked_for_again_and_the_card_charged_once(shop: Shop) -> None:
    shop.open()
    status, _, made = shop.ask("POST", "/v1/orders", ORDER | {"card": "lost-answer"})
    assert status == 201, made
    charges = [
        each for each in shop.services.ledger("payment")["entries"] if each["answer"].get("orderId") == made["orderId"]
    ]
    assert [(each["status"], each["repeats"]) for each in charges] == [(201, 1)]


def test_a_service_that_hangs_once_is_asked_again(shop: Shop) -> None:
    shop.replace("&time {request: 5s}", "&time {request: 300ms}")
    shop.services.fault("payment", do="hang", method="POST", times=1)
    shop.open()
    status, _, made = shop.ask("POST", "/v1/orders", ORDER)
    assert status == 201, made
    assert shop.things(ORDER_SERVICES, made["orderId"]) == dict.fromkeys(ORDER_SERVICES, "live")


def test_a_shipment_whose_outcome_stays_unknown_is_undone_too(shop: Shop) -> None:
    shop.services.fault("shipping", do="drop", method="POST")
    shop.open()
    status, _, problem = shop.ask("POST", "/v1/orders", ORDER)
    assert status == 502
    report = problem["compensation"]
    assert report["status"] == "complete"
    assert [(entry["call"], entry.get("outcome")) for entry in report["entries"]] == [
        ("cancelShipment", "unknown"),
        ("refund", None),
        ("releaseStock", None),
    ]
    order = faulted_order(shop)
    assert shop.things(("shipping",), order) == {"shipping": "gone"}, "it was shipped after all, and called back"
    undone(shop, order)


def test_the_same_idempotency_key_gets_the_same_order(shop: Shop) -> None:
    shop.open()
    first = shop.ask("POST", "/v1/orders", ORDER, idempotency_key="one-order")
    second = shop.ask("POST", "/v1/orders", ORDER, idempotency_key="one-order")
    assert (first[0], first[2]) == (second[0], second[2])
    assert first[0] == 201
    status, _, problem = shop.ask("POST", "/v1/orders", DECLINED, idempotency_key="one-order")
    assert (status, problem["type"].partition("#")[2]) == (422, "idempotency-conflict")
    assert len(shop.executions()) == 1
    assert WEB not in str(second)
