"""The example, as its page has it."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from running import Gateway

EXAMPLE = Path(__file__).parents[2] / "examples" / "transcoding"
sys.path.insert(0, str(EXAMPLE))

from grpc_shop import serve  # noqa: E402


@pytest.fixture
def shop_door(tmp_path: Path) -> Iterator[Gateway]:
    server, port = serve("127.0.0.1:0")
    shutil.copy(EXAMPLE / "shop.proto", tmp_path)
    config = (EXAMPLE / "stagedoor.yaml").read_text()
    for written, real in (("127.0.0.1:8080", "127.0.0.1:0"), ("127.0.0.1:9901", "127.0.0.1:0"), (":50051", f":{port}")):
        assert written in config
        config = config.replace(written, real)
    (tmp_path / "stagedoor.yaml").write_text(config)
    door = Gateway(tmp_path)
    yield door
    door.kill()
    server.stop(None).wait()


def test_the_example_does_what_its_page_says(shop_door: Gateway) -> None:
    mug = {"name": "items/mug", "title": "Mug", "priceCents": "900"}
    assert shop_door.request("GET", "/v1/items/mug").json == mug
    assert shop_door.request("GET", "/v1/items?maxPriceCents=1000").json == [mug]
    changed = shop_door.request("POST", "/v1/items/mug:setPrice", {"priceCents": 950}).json
    assert changed.pop("changed").endswith("Z")
    assert changed == mug | {"priceCents": "950"}
    events = shop_door.request("GET", "/v1/items/mug/prices?changes=3", headers={"accept": "text/event-stream"})
    assert events.body.count(b"data: ") == 3
    missing = shop_door.request("GET", "/v1/items/cup")
    assert (missing.status, missing.json["detail"]) == (404, "there is no items/cup")
    wrong = shop_door.request("POST", "/v1/items/mug:setPrice", {"priceCents": "many"})
    assert (wrong.status, wrong.json["errors"][0]["pointer"]) == (400, "/priceCents")
