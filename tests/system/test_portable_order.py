"""The shop's workflows as they are and in their plain form, through the front door: the services hear the same."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML
from shop import DECLINED, ORDER, ORDER_SERVICES, USER, USER_SERVICES, Shop
from stagedoor.cli import main
from stagedoor.demo.processes import SHOP, Services, until

Json = Any


def outcomes(shop: Shop) -> list[Json]:
    """Of a good order, a declined one, one whose letter fails, and two registrations: what the client and the services
    heard, with ids left out."""
    shop.open()
    found = []
    for path, body, fails, names in (
        ("/v1/orders", ORDER, None, ORDER_SERVICES),
        ("/v1/orders", DECLINED, None, ORDER_SERVICES),
        ("/v1/orders", ORDER, "notification", ORDER_SERVICES),
        ("/v1/registrations", USER, None, USER_SERVICES),
        ("/v1/registrations", USER | {"role": "root"}, None, USER_SERVICES),
    ):
        shop.services.clear()
        if fails is not None:
            shop.services.fault(fails, do="fail", status=500)
        before = {name: len(shop.services.ledger(name)["entries"]) for name in names}
        status, _, answer = shop.ask("POST", path, body)
        workflow = "shop/order" if "orders" in path else "shop/registration"
        execution = until(lambda w=workflow: shop.executions(w), "the execution")[0]["id"]  # type: ignore[misc]
        shop.ended(execution)
        entries = [
            (entry["at"], name, entry["method"], entry["path"], entry["status"], entry["body"])
            for name in names
            for entry in shop.services.ledger(name)["entries"][before[name] :]
        ]
        heard = json.dumps([entry[1:] for entry in sorted(entries)]).replace(execution, "ID")
        heard = re.sub(r"S-[0-9a-f]{8}", "TRACKING", heard)
        found.append((status, {key: answer.get(key) for key in ("type", "title", "detail")}, json.loads(heard)))
    shop.kill()
    return found


def test_services_and_clients_hear_the_same_from_the_plain_form(
    services: Services, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folders = [tmp_path / "sugar", tmp_path / "plain"]
    for folder in folders:
        folder.mkdir()
    written = folders[1] / "workflows"
    written.mkdir()
    for file in sorted((SHOP / "workflows").glob("*.yaml")):
        assert main(["workflow", "build", "--portable", str(file), "-o", str(written / file.name)]) == 0
        assert "stagedoor/" not in json.dumps(YAML(typ="safe", pure=True).load((written / file.name).read_text()))
    sugar, plain = (outcomes(Shop(services, folder)) for folder in folders)
    assert sugar == plain
    assert [status for status, _, _ in plain] == [201, 402, 500, 201, 403]
    assert [(name, method) for name, method, *_ in plain[2][2]] == [
        ("inventory", "POST"),
        ("payment", "POST"),
        ("shipping", "POST"),
        ("shipping", "DELETE"),
        ("payment", "DELETE"),
        ("inventory", "DELETE"),
    ]
