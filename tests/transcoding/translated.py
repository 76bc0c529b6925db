"""A gateway that translates for the kitchen's clients."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from kitchen import descriptor_set
from running import Gateway

Json = Any


def start(folder: Path, port: int, translate: Json, **more: Json) -> Gateway:
    """``more``: other policies, and ``cluster``."""
    cluster = {"endpoints": [f"http://127.0.0.1:{port}"], "protocol": "h2c"} | more.pop("cluster", {})
    configuration = {
        "listeners": {"public": {"bind": "127.0.0.1:0", "http2": {"h2c": True}}},
        "admin": {"bind": "127.0.0.1:0"},
        "workers": 1,
        "clusters": {"kitchen": cluster},
        "routes": {
            "all": {
                "match": {"path": "/{rest...}"},
                "policies": {"translate": translate, **more},
                "target": {"cluster": "kitchen"},
            }
        },
    }
    (folder / "stagedoor.yaml").write_text(json.dumps(configuration))
    (folder / "kitchen.binpb").write_bytes(descriptor_set("kitchen.proto", "old.proto"))
    return Gateway(folder)
