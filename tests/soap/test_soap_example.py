"""``examples/soap`` does what its README says."""

from __future__ import annotations

import importlib.util
import shutil
from http.server import ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from running import Gateway

EXAMPLE = Path(__file__).parents[2] / "examples" / "soap"


def test_the_example_reserves_refuses_and_checks(tmp_path: Path) -> None:
    spec = importlib.util.spec_from_file_location("hotel", EXAMPLE / "hotel.py")
    assert spec is not None
    assert spec.loader is not None
    hotel = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(hotel)
    server = ThreadingHTTPServer(("127.0.0.1", 0), hotel.Hotel)
    Thread(target=server.serve_forever, daemon=True).start()
    shutil.copy(EXAMPLE / "hotel.wsdl", tmp_path)
    text = (EXAMPLE / "stagedoor.yaml").read_text().replace(":8081", f":{server.server_port}").replace(":8080", ":0")
    (tmp_path / "stagedoor.yaml").write_text(text + 'admin: {bind: "127.0.0.1:0"}\n')
    gateway = Gateway(tmp_path)
    try:
        path, order = "/hotels/7/reservations", {"from": "2026-03-05", "nights": 2, "guests": [{"name": "Zoë"}]}
        reserved = gateway.request("POST", path, order)
        assert reserved.status == 201, reserved.body
        assert reserved.body == (
            b'{"number":4711,"price":{"@currency":"CHF","#text":199.80},"rooms":[12],"breakfast":true}'
        )
        refused = gateway.request("POST", path, order | {"from": "2026-03-01"})
        assert refused.status == 409
        assert refused.json["errors"][0]["detail"] == {"RoomNotFree": {"until": "2026-03-02"}}
        assert gateway.request("POST", path, order | {"guests": [{"nam": "Zoë"}]}).status == 400
    finally:
        gateway.kill()
        server.shutdown()
