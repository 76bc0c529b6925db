"""What happened is taken away from a running gateway, replayed and drawn."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from shop import DECLINED, ORDER, WEB, Shop
from stagedoor.cli import main
from stagedoor.demo.processes import until

KEPT = os.environ.get("KEEP_HISTORIES")
"""A folder where what happened here is kept: for tests/replay, with each release that changes what is recorded."""


@pytest.mark.parametrize("name", ["order_completed", "order_faulted", "order_cancelled"])
def test_a_history_is_taken_away_replayed_and_drawn(
    name: str, shop: Shop, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gateway = shop.open()
    status = name.partition("_")[2]
    if status == "cancelled":
        shop.services.fault("shipping", do="late", method="POST", seconds=2)
    shop.ask("POST", "/v1/orders", DECLINED if status == "faulted" else ORDER, prefer="respond-async")
    [execution] = until(shop.executions, "an execution")
    if status == "cancelled":
        until(lambda: "charge" in json.dumps(shop.execution(execution["id"])["timeline"]), "a charge")
        words = {"reason": "not wanted any more", "by": "ada"}
        assert shop.admin(f"/executions/{execution['id']}/cancel", "POST", words)[0] == 202
    assert shop.ended(execution["id"])["status"] == status
    assert main(["executions", "history", execution["id"], "--admin", gateway.admin]) == 0
    history = json.loads(capsys.readouterr().out)
    assert history["status"] == status
    assert WEB not in json.dumps(history)
    file, picture = tmp_path / "history.json", tmp_path / "picture.svg"
    file.write_text(json.dumps(history))
    if KEPT is not None:
        (Path(KEPT) / f"{name}.json").write_text(json.dumps(history, indent=1) + "\n")
    assert main(["replay", str(file)]) == 0
    assert ": the same: " in capsys.readouterr().out
    for what in (["--history", str(file)], ["--execution", execution["id"], "--admin", gateway.admin]):
        assert main(["workflow", "graph", *what, "-o", str(picture)]) == 0
        assert "completed · " in picture.read_text()
